"""`underlay verify`: is a bundle what it was when it was sealed, or a state what its server acknowledged?"""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json


def verify(
    what: Annotated[
        str,
        typer.Argument(metavar="BUNDLE|STATE", help="Folder that `fit` wrote, or what `serve --state` was given."),
    ],
    audit: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of a state: folder of the checkpoints, if `serve` was given one."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Of a state: its audit.pub, kept where nobody changes it; else the one there."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check a bundle (files and golden rows) or a state (chain, rows, checkpoints); exit 4 if anything differs."""
    if "://" in what or (Path(what) / "state.sqlite").exists():
        _state(what, audit, public_key, json=json)
    else:
        _bundle(Path(what), json=json)


def _bundle(bundle: Path, *, json: bool) -> None:
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


def _state(state: str, audit: Path | None, public_key: Path | None, *, json: bool) -> None:
    from dataclasses import asdict

    from underlay.cli.streams import progress, put_json, results
    from underlay.serve.state import place_of, verify_state

    place = place_of(state, audit)
    found = verify_state(place, key=public_key)
    if json:
        put_json(asdict(found))
        return
    results().print(
        f"{place} is intact: {found.entries} entries to {found.head[:12]}…, {found.rows} rows as they tell, "
        f"{found.gone} gone as they tell, {found.checkpoints} signed checkpoints met",
        markup=False,
    )
    if found.covered < found.entries:
        progress().print(
            f"the last {found.entries - found.covered} entries have no checkpoint: it would not show if they were cut",
            markup=False,
        )
