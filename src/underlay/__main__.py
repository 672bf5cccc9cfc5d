"""`python -m underlay`: the command line."""

from underlay.cli import main

main()
