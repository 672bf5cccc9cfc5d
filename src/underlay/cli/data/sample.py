"""`underlay data sample`: real, published data by name."""

from pathlib import Path
from typing import Annotated

import typer

from underlay.cli.options import Json

PREVIEW = 3
"""Rows shown."""


def sample(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A sample; none lists them.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write it as .csv, .tsv or .parquet.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: Json = False,
) -> None:
    """Fetch a named sample, show its first rows, and write it as a file with --out."""
    if name is None:
        _list(json=json)
    elif out is not None:
        from underlay.data import export_sample

        typer.echo(export_sample(name, out, force=force))
    else:
        _show(name, json=json)


def _list(*, json: bool) -> None:
    from underlay.cli.streams import put_json
    from underlay.cli.tables import put_table
    from underlay.data import SAMPLES

    if json:
        put_json({key: {"about": found.about, "credit": found.credit} for key, found in SAMPLES.items()})
        return
    rows = [(key, found.about, found.language, found.credit) for key, found in SAMPLES.items()]
    put_table("", ["sample", "about", "language", "source"], rows)


def _shown(cell: object) -> object:
    """A cell as a table can show it."""
    if isinstance(cell, list):
        return f"{len(cell):,} {'lists' if cell and isinstance(cell[0], list) else 'values'}"
    return f"{len(cell):,} bytes" if isinstance(cell, bytes) else cell


def _show(name: str, *, json: bool) -> None:
    from underlay.cli.streams import put_json, results
    from underlay.cli.tables import put_table
    from underlay.data import open_table

    found = open_table(f"sample:{name}")
    first = found.arrow.slice(0, PREVIEW).to_pylist()
    if json:
        put_json({"name": name, "rows": len(found), "columns": list(found.columns), "digest": found.digest})
        return
    for note in found.notes:
        results().print(note, markup=False)
    put_table("", list(found.columns), [[_shown(cell) for cell in row.values()] for row in first])
    results().print(
        f"{len(found):,} rows; --out FILE writes them, sample:{name} names them in any command", markup=False
    )
