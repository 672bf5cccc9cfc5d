"""`underlay compress`: a smaller or faster bundle, and what that cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Json, Quiet
from underlay.core import UsageError

if TYPE_CHECKING:
    from underlay.strategies.comparison import Line
    from underlay.strategies.compress import Compressed


def compress(
    bundle: BundleFolder,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the new bundle.")] = None,
    distil: Annotated[
        str | None,
        typer.Option(
            metavar="STUDENT", help="Teach a smaller model: layers:N of its own, a trunk, or a recipe's file."
        ),
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(metavar="DATA", help="With --distil: more rows, without labels, to learn from.")
    ] = None,
    vocabulary: Annotated[
        bool, typer.Option("--vocabulary", help="Leave out entries of the tokenizer that no training row takes.")
    ] = False,
    words: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --vocabulary: words that stay whole besides, one a line.")
    ] = None,
    prune: Annotated[
        float, typer.Option(metavar="RATIO", help="Share of attention heads and feed-forward units that goes, as 0.3.")
    ] = 0.0,
    units: Annotated[
        str, typer.Option(metavar="LIST", help="What --prune takes out: heads, inner, layers; with commas between.")
    ] = "heads,inner",
    int8: Annotated[bool, typer.Option("--int8", help="Write large products in eight bits, as an ONNX graph.")] = False,
    static: Annotated[
        bool, typer.Option("--static", help="With --int8: ranges of activations fixed on training rows: faster.")
    ] = False,
    max_drop: Annotated[
        float, typer.Option(metavar="POINTS", help="A step that loses more on the validation rows is not kept.")
    ] = 0.5,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help=f"What it was trained on, if it is not found. {DATA_HELP}")
    ] = None,
    test: Annotated[str | None, typer.Option(metavar="DATA", help="What it was measured on, likewise.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what stands at --out.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a bundle smaller or faster; exit 7, with nothing written, if no step loses little enough."""
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.strategies.compress import Wanted
    from underlay.strategies.compress import compress as run

    _require_sense(words=words is not None and not vocabulary, max_drop=max_drop)
    wanted = Wanted(
        distil=distil,
        vocabulary=vocabulary,
        words=() if words is None else read_words(words),
        prune=prune,
        units=tuple(part.strip() for part in units.split(",")),
        int8=int8,
        static=static,
    )
    final = out or bundle.with_name(f"{bundle.name}-small")
    with Terminal(quiet=quiet) as terminal:
        found = run(
            bundle,
            final,
            wanted=wanted,
            source=data,
            test=test,
            unlabelled=unlabelled,
            max_drop=max_drop,
            force=force,
            listener=terminal,
        )
    if json:
        put_json(found.to_dict())
        return
    _show(found)
    typer.echo(found.bundle.path)


def _require_sense(*, words: bool, max_drop: float) -> None:
    """Nothing, or the error about an option that would do nothing.

    Raises:
        UsageError: Words are named without the step that reads them, or the bound is no number of points.
    """
    if words:
        raise UsageError("--words is about the vocabulary", "add --vocabulary")
    from underlay.compress.loss import require_points

    require_points(max_drop)


def read_words(path: Path) -> tuple[str, ...]:
    """The first cell of each line: a list of words, or of words with their counts.

    Raises:
        UsageError: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--words {path} cannot be read ({error})", "give a UTF-8 file, one word a line") from None
    return tuple(cells[0] for line in lines if (cells := line.replace(",", " ").split()))


def _show(found: "Compressed") -> None:
    from underlay.cli.tables import put_table

    rows = [
        [step.name, "yes" if step.kept else "no", loss.target, loss.metric, loss.was, loss.now, loss.points]
        for step in found.steps
        for loss in step.losses
    ]
    put_table("steps, on validation rows", ["step", "kept", "target", "metric", "was", "is", "points lost"], rows)
    put_table(
        f"raw value to decision; {found.lines[0].speed.rows} rows in batch",
        ["bundle", "on test rows", "MB", "one row, ms", "99th percentile", "rows/s"],
        [_cells(line) for line in found.lines],
    )


def _cells(line: "Line") -> list[object]:
    from underlay.cli.outcome import spread

    figures = "; ".join(f"{name} {spread(name, one)}" for name, one in line.figures.values())
    speed = line.speed
    return [line.name, figures, line.bytes / 1e6, speed.one_p50, speed.one_p99, round(speed.rows_per_second)]
