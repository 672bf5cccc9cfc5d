"""`underlay report`."""

from underlay.cli.options import BundleFolder


def report(bundle: BundleFolder) -> None:
    """To come."""
    raise NotImplementedError
