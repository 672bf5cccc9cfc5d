"""`underlay export`: a bundle that answers without PyTorch, or its graph for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.options import DATA_HELP, BundleFolder, Json, Quiet
from underlay.core import UsageError

if TYPE_CHECKING:
    from underlay.compress import Exported, Labelled
    from underlay.core import Listener
    from underlay.strategies.known_rows import KnownRows

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
    static: Annotated[
        bool, typer.Option("--static", help="With --int8: ranges of activations fixed on --data; else as they come.")
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(metavar="POINTS", help="With --int8 and labelled --data: may lose so much; 0.5 by default."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what stands at --out.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a bundle as a graph; exit 7, with nothing written, if that answers otherwise."""
    if to not in ENDINGS:
        raise UsageError(f"--to {to} is not known", f"use one of {', '.join(ENDINGS)}")
    _require_sense(int8=int8, static=static, max_drop=max_drop, data=data)
    from underlay.cli.streams import put_json
    from underlay.cli.terminal import Terminal
    from underlay.compress import MAX_DROP
    from underlay.compress import export as run

    final = out or bundle.with_name(f"{bundle.name}-{'int8' if int8 else to}{ENDINGS[to]}")
    with Terminal(quiet=quiet) as terminal:
        rows = None if data is None else _rows(bundle, data)
        found = run(
            bundle,
            final,
            to=to,
            int8=int8,
            static=static,
            max_drop=MAX_DROP if max_drop is None else max_drop,
            columns=None if rows is None else rows.seen,
            labelled=_labelled(rows, asked=max_drop is not None, listener=terminal) if int8 else None,
            force=force,
            listener=terminal,
        )
    if json:
        put_json(found.to_dict())
        return
    _show(found)
    typer.echo(found.path)


def _require_sense(*, int8: bool, static: bool, max_drop: float | None, data: str | None) -> None:
    """Say what does nothing alone.

    Raises:
        UsageError: An option asks for one that is not there.
    """
    if not int8 and (static or max_drop is not None):
        raise UsageError(f"{'--static' if static else '--max-drop'} is about eight bits", "add --int8")
    if data is None and (static or max_drop is not None):
        raise UsageError(f"{'--static' if static else '--max-drop'} needs rows", "name a file: --data FILE")
    if max_drop is not None:
        from underlay.compress.loss import require_points

        require_points(max_drop)


def _rows(bundle: Path, data: str) -> "KnownRows":
    from underlay.bundle import open_bundle
    from underlay.strategies.known_rows import known_rows

    return known_rows(open_bundle(bundle, replay=False), data)


def _labelled(rows: "KnownRows | None", *, asked: bool, listener: "Listener") -> "Labelled | None":
    """Rows on which the loss is measured; none where no answer is known.

    Raises:
        UsageError: `--max-drop` asks for one.
    """
    from underlay.compress import Labelled
    from underlay.core import Event

    if rows is None:
        return None
    if rows.truths is None:
        if asked:
            raise UsageError("--max-drop needs rows whose answer is known; this data has no column of the target")
        listener(Event("note", "this data has no answers, so what eight bits lose is not measured", {}))
        return None
    part = "the validation rows of its own data" if rows.own else "half of these rows"
    listener(Event("note", f"what is lost is measured on {part}, at most {len(next(iter(rows.held.values()))):,}", {}))
    return Labelled(rows.held, rows.truths)


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
    _show_eight_bits(found)
    results().print(f"{found.bytes_before / 1e6:.1f} MB became {found.bytes_after / 1e6:.1f} MB", markup=False)
    if not found.speeds:
        return
    rows = [[one.name, one.one_p50, one.one_p99, round(one.rows_per_second)] for one in found.speeds]
    put_table(
        f"raw value to decision; {found.speeds[0].rows} rows in batch",
        ["backend", "one row, ms", "99th percentile", "rows/s"],
        rows,
    )
    original, *_ = found.speeds
    chosen = next(one for one in found.speeds if one.name == found.chosen)
    results().print(f"runs with {chosen.name}", markup=False)
    if found.eight_bits is not None:
        results().print(f"{found.gain:.2f}x the rows/s of the fastest in fp32", markup=False)
    if original.cost < chosen.cost:
        results().print(f"{original.name} is the faster one here; export for machines without it", markup=False)


def _show_eight_bits(found: "Exported") -> None:
    from underlay.cli.streams import results

    made = found.eight_bits
    if made is None:
        return
    kept = f"; {len(made.kept)} left in fp32: {', '.join(made.kept)}" if made.kept else ""
    results().print(
        f"{made.operators} operators of eight bits ({made.scheme}), each within {made.noise:.1%} of fp32{kept}",
        markup=False,
    )
    for loss in made.losses:
        results().print(
            f"{loss.target}: {loss.metric} {loss.was:.4f} became {loss.now:.4f} on {loss.rows} rows: "
            f"{loss.points:.2f} points lost (95 %: {loss.low:.2f} to {loss.high:.2f})",
            markup=False,
        )
