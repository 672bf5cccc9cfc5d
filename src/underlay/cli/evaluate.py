"""`underlay evaluate`."""

from underlay.cli.options import BundleFolder


def evaluate(bundle: BundleFolder) -> None:
    """To come."""
    raise NotImplementedError
