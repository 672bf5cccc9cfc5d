"""`underlay evaluate`: a bundle measured on labelled data."""

import json as to_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import BundleFolder, Data, Quiet

if TYPE_CHECKING:
    from underlay.strategies.evaluation import Evaluation


def evaluate(
    bundle: BundleFolder,
    data: Data,
    slices: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="Measure each value of this column too; repeat.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write the figures as JSON to a file, or to stdout with -.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure a bundle on labelled data, with 95 % intervals."""
    from underlay.bundle import open_bundle
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.core import Event
    from underlay.core.durable import write_file
    from underlay.strategies.evaluation import evaluate as measure

    with Terminal(quiet=quiet) as terminal:
        terminal(Event("phase", f"measuring {bundle} on {data}", {}))
        found = measure(
            open_bundle(bundle),
            data,
            slice_by=slices or [],
            progress=lambda done, total: terminal(Event("progress", "answering", {"done": done, "total": total})),
        )
        if found.problems:
            place, why = found.problems[0]
            terminal(Event("warning", f"{len(found.problems)} rows are in no figure; first: {place}: {why}", {}))
    if json == "-":
        put_json(found.to_dict())
        return
    if json is not None:
        write_file(Path(json), to_json.dumps(found.to_dict(), ensure_ascii=False, indent=2).encode("utf-8"))
    _show(found)


def _show(found: "Evaluation") -> None:
    from underlay.cli.outcome import show_figures, spread
    from underlay.cli.tables import put_table

    for one in found.examined:
        show_figures(one)
        if one.slices:
            rows = [[part.by, part.name, part.count, spread(one.key, part.figure), part.worse] for part in one.slices]
            put_table(f"{one.target}: {one.key} by slice", ["column", "value", "rows", one.key, "worse"], rows)
