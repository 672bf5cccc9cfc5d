"""`underlay verify`: is a bundle what it was when it was sealed, and does it still answer as it did?"""

from underlay.cli.options import BundleFolder, Json


def verify(bundle: BundleFolder, json: Json = False) -> None:
    """Check every file of a bundle against its manifest and replay its golden rows; exit 4 if one differs."""
    from dataclasses import asdict

    from underlay.bundle import verify as check
    from underlay.cli.streams import put_json, results

    found = check(bundle)
    if json:
        put_json(asdict(found))
        return
    golden = found.golden
    results().print(
        f"{bundle} is intact: {found.files} files, {found.bytes / 1e6:.1f} MB, as sealed ({found.seal[:12]}…); "
        f"{golden.rows} golden rows answered as then (largest difference {golden.difference:.1g}, "
        f"allowed {golden.tolerance:.0e})",
        markup=False,
    )
