"""What `underlay compress` shows: steps or candidates, and both bundles side by side."""

from typing import TYPE_CHECKING

from underlay.cli.streams import results
from underlay.cli.tables import put_table

if TYPE_CHECKING:
    from underlay.evaluate import Contender
    from underlay.strategies.comparison import Line
    from underlay.strategies.compress import Compressed
    from underlay.strategies.search import Found


def show_steps(found: "Compressed") -> None:
    """Print what each step lost, and what was gained."""
    rows = [
        [step.name, "yes" if step.kept else "no", loss.target, loss.metric, loss.was, loss.now, loss.points]
        for step in found.steps
        for loss in step.losses
    ]
    put_table("steps, on validation rows", ["step", "kept", "target", "metric", "was", "is", "points lost"], rows)
    _show_lines(found.lines)


def show_search(found: "Found") -> None:
    """Print every candidate, the recommendation, and what was gained."""
    targets = found.search.targets
    shown = [found.search.original, *found.search.contenders]
    put_table(
        f"candidates, on {found.search.rows:,} validation rows; times in turns with the original",
        ["", "candidate", "quality (95 %)", "points lost (95 %)", "MB", "one row, ms", "p99", "rows/s", ""],
        [[place or "", *_figures(one), _verdict(one, found, first=not place)] for place, one in enumerate(shown)],
    )
    asked = {"ms": targets.ms, "MB": targets.megabytes, "points lost": targets.points}
    bounds = ", ".join(f"{bound:g} {unit}" for unit, bound in asked.items() if bound is not None)
    results().print(f"targets: at most {bounds}", markup=False)
    for sentence in found.search.words:
        results().print(sentence, markup=False)
    _show_lines(found.lines)


def _figures(one: "Contender") -> list[object]:
    from underlay.evaluate.recommendation import points
    from underlay.evaluate.wording import figure, span

    if not one.measured:
        return [one.name, one.why, None, None, None, None, None]
    quality = "; ".join(f"{figure(each.metric, each.value)}  ({span(each.metric, each.interval)})" for each in one.lost)
    lost = "; ".join(f"{points(each.points)}  ({points(each.least)} to {points(each.most)})" for each in one.lost)
    return [one.name, quality, lost, one.megabytes, one.one_p50, one.one_p99, round(one.rows_per_second)]


def _verdict(one: "Contender", found: "Found", *, first: bool) -> str:
    if first or not one.measured:
        return ""
    return "chosen" if one.name == found.search.chosen else one.verdict(found.search.targets)


def _show_lines(lines: "tuple[Line, ...]") -> None:
    put_table(
        f"raw value to decision; {lines[0].speed.rows} rows in batch",
        ["bundle", "on test rows", "MB", "one row, ms", "99th percentile", "rows/s"],
        [_cells(line) for line in lines],
    )


def _cells(line: "Line") -> list[object]:
    from underlay.cli.outcome import spread

    figures = "; ".join(f"{name} {spread(name, one)}" for name, one in line.figures.values())
    speed = line.speed
    return [line.name, figures, line.bytes / 1e6, speed.one_p50, speed.one_p99, round(speed.rows_per_second)]
