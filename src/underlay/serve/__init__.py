"""What stands between a bundle and the world that asks it. Imports no PyTorch."""
