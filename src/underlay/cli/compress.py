"""`underlay compress`: a smaller or faster bundle, and what that cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Json, Quiet
from underlay.core import UsageError


def compress(
    bundle: BundleFolder,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the new bundle.")] = None,
    target_ms: Annotated[
        float | None,
        typer.Option("--target-ms", metavar="MS", help="Search for steps so that one row takes so long at the median."),
    ] = None,
    target_mb: Annotated[
        float | None,
        typer.Option("--target-mb", metavar="MB", help="Search for steps so that its files are so large."),
    ] = None,
    distil: Annotated[
        str | None,
        typer.Option(
            metavar="STUDENT", help="Teach a smaller model: layers:N of its own, a trunk, or a recipe's file."
        ),
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(metavar="DATA", help="More rows, without labels, for a student to learn from.")
    ] = None,
    vocabulary: Annotated[
        bool, typer.Option("--vocabulary", help="Leave out entries of the tokenizer that no training row takes.")
    ] = False,
    words: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Words that stay whole in a smaller vocabulary besides, one a line."),
    ] = None,
    prune: Annotated[
        float, typer.Option(metavar="RATIO", help="Share of attention heads and feed-forward units that goes, as 0.3.")
    ] = 0.0,
    units: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="What --prune takes out: heads, inner, layers; with commas between."),
    ] = None,
    sparsity: Annotated[
        float,
        typer.Option(metavar="RATIO", help="Share of single weights that become 0: no faster, smaller if packed."),
    ] = 0.0,
    by: Annotated[
        str | None, typer.Option(metavar="KIND", help="What --sparsity ranks weights by: magnitude or movement.")
    ] = None,
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
    """Make a bundle smaller or faster, by steps or to targets; exit 7, with no bundle written, if that loses too much.

    With --target-ms or --target-mb combinations of all steps are tried, the cheapest to compute first, until one holds
    every target; the same command goes on where it was stopped.
    """
    from underlay.cli.compressed import show_search, show_steps
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal

    steps: dict[str, Any] = {
        "--distil": distil,
        "--vocabulary": vocabulary,
        "--prune": prune,
        "--units": units,
        "--sparsity": sparsity,
        "--by": by,
        "--int8": int8,
        "--static": static,
    }
    sought = target_ms is not None or target_mb is not None
    _require_sense(steps, sought=sought, words=words, max_drop=max_drop)
    final = out or bundle.with_name(f"{bundle.name}-small")
    stay = () if words is None else read_words(words)
    given: dict[str, Any] = {"source": data, "test": test, "unlabelled": unlabelled, "force": force}
    with Terminal(quiet=quiet) as terminal:
        if sought:
            from underlay.evaluate import Targets
            from underlay.strategies.search import search

            targets = Targets(max_drop, target_ms, target_mb)
            found: Any = search(bundle, final, targets=targets, words=stay, listener=terminal, **given)
        else:
            from underlay.strategies.compress import Wanted
            from underlay.strategies.compress import compress as run

            parts = ("heads", "inner") if units is None else tuple(part.strip() for part in units.split(","))
            wanted = Wanted(
                distil, vocabulary, stay, prune, parts, sparsity, by or "magnitude", int8=int8, static=static
            )
            found = run(bundle, final, wanted=wanted, max_drop=max_drop, listener=terminal, **given)
    if json:
        put_json(found.to_dict())
        return
    (show_search if sought else show_steps)(found)
    typer.echo(found.bundle.path)


def _require_sense(steps: Mapping[str, Any], *, sought: bool, words: Path | None, max_drop: float) -> None:
    """Nothing, or the error about options that do not go together.

    Raises:
        UsageError: Steps are named beside targets, words or units without the step that reads them, or the bound is no
            number of points.
    """
    from underlay.compress.loss import require_points

    require_points(max_drop)
    named = [flag for flag, value in steps.items() if value]
    if sought and named:
        raise UsageError(
            f"{named[0]} and a target are given: with a target the steps are searched for", "leave one of them out"
        )
    if words is not None and not (sought or steps["--vocabulary"]):
        raise UsageError("--words is about the vocabulary", "add --vocabulary")
    if steps["--units"] is not None and not steps["--prune"]:
        raise UsageError("--units says what --prune takes out", "add --prune RATIO")
    if steps["--by"] is not None and not steps["--sparsity"]:
        raise UsageError("--by says what --sparsity ranks weights by", "add --sparsity RATIO")


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
