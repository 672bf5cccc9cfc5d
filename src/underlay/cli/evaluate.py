"""`underlay evaluate`: a bundle measured on labelled data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import BundleFolder, Data, Quiet

if TYPE_CHECKING:
    from underlay.evaluate import Examination


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
    import tempfile
    from json import dumps

    from underlay.bundle import open_bundle
    from underlay.cli.outcome import counted
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.core.durable import write_file
    from underlay.strategies.evaluate import evaluate as measure

    opened = open_bundle(bundle)
    with Terminal(quiet=quiet) as terminal, tempfile.TemporaryDirectory(prefix="underlay-") as cache:
        found = measure(opened, data, slice_by=slices or [], cache=Path(cache), listener=terminal)
        said = {**counted(found.metrics), "unanswered": len(found.problems)}
        if slices:
            said["slices"] = {
                one.target: [
                    {"by": part.by, "value": part.name, "n": part.count, one.key: part.figure.to_dict()}
                    for part in one.slices
                ]
                for one in found.targets
            }
        if json == "-":
            put_json(said)
            return
        if json is not None:
            write_file(Path(json), dumps(said, indent=2).encode())
        _show(found.targets, sliced=bool(slices))


def _show(targets: "tuple[Examination, ...]", *, sliced: bool) -> None:
    from underlay.cli.outcome import show_figures, spread
    from underlay.cli.tables import put_table

    for one in targets:
        show_figures(one)
        if sliced and one.slices:
            rows = [[part.by, part.name, part.count, spread(one.key, part.figure), part.worse] for part in one.slices]
            title = f"{one.target}: {one.key} by slice"
            put_table(title, ["column", "value", "rows", one.key, "worse"], rows)
