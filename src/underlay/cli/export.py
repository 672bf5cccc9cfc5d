"""`underlay export`: a bundle that answers without PyTorch, or its graph for other tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Json, Quiet
from underlay.core import MissingColumn, UsageError

if TYPE_CHECKING:
    from underlay.compress import Exported

ENDINGS = {"onnx": "", "torch": ".pt2"}
"""Formats, and what the output ends in where --out is not given."""


def export(
    bundle: BundleFolder,
    to: Annotated[str, typer.Option("--to", metavar="onnx|torch", help="ONNX, or a file of torch.export.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR|FILE", help="A folder: a bundle. NAME.onnx or NAME.pt2: the graph alone."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help=f"Compare on rows of this data too. {DATA_HELP}")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Large products in eight bits: smaller, faster, not equal.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what stands at --out.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a bundle as a graph; exit 7, with nothing written, if that answers otherwise."""
    if to not in ENDINGS:
        raise UsageError(f"--to {to} is not known", f"use one of {', '.join(ENDINGS)}")
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.compress import export as run

    final = out or bundle.with_name(f"{bundle.name}-{'int8' if int8 else to}{ENDINGS[to]}")
    with Terminal(quiet=quiet) as terminal:
        columns = None if data is None else _columns(bundle, data)
        found = run(bundle, final, to=to, int8=int8, columns=columns, force=force, listener=terminal)
    if json:
        put_json(found.to_dict())
        return
    _show(found)
    typer.echo(found.path)


def _columns(bundle: Path, data: str) -> Mapping[str, Sequence[Any]]:
    """Raw values of the columns that the bundle reads."""
    from underlay.bundle import open_bundle
    from underlay.data import gathered_as, open_table

    opened = open_bundle(bundle, replay=False)
    table = gathered_as(open_table(data), opened.provenance.get("recipe", {}))
    for column in opened.schema.columns:
        if column.name not in table.columns:
            raise MissingColumn("this bundle", column.name, table.columns)
    table = table.with_files(opened.file_columns)
    return {column.name: table.values(column.name) for column in opened.schema.columns}


def _show(found: "Exported") -> None:
    from underlay.cli.streams import results
    from underlay.cli.tables import put_table

    for what, one in (("synthetic", found.parity), ("given", found.on_data)):
        if one is not None:
            results().print(
                f"{one.rows} {what} rows, {one.padding:.0%} of their batches padding: scores differ by up to "
                f"{one.difference:.1e} (allowed {one.bounds.score:g}), alone or in a batch by {one.alone:.1e}; "
                f"{one.decisions} of {one.decided} decisions changed",
                markup=False,
            )
    results().print(f"{found.bytes_before / 1e6:.1f} MB became {found.bytes_after / 1e6:.1f} MB", markup=False)
    if not found.speeds:
        return
    rows = [[one.name, one.one_p50, one.one_p99, round(one.rows_per_second)] for one in found.speeds]
    put_table(
        f"raw value to decision; {found.speeds[0].rows} rows in batch",
        ["backend", "one row, ms", "99th percentile", "rows/s"],
        rows,
    )
    original, *settings = found.speeds
    chosen = min(settings, key=lambda speed: speed.cost)
    results().print(f"runs with {chosen.name}", markup=False)
    if original.cost < chosen.cost:
        results().print(f"{original.name} is the faster one here; export for machines without it", markup=False)
