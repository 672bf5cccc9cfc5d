"""`benchmarks/results/README.md`: floor, goal, measured, met or missed, from the records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, median, stdev
from typing import Any

from scipy.stats import t

from benchmarks.goals import GOALS, Goal
from benchmarks.record import RESULTS, read_all

HEAD = """# Results

Written by `python -m benchmarks.page` from the `.jsonl` files beside it: one line a measured cell, with the command,
the machine, the versions, the commit and the date. Recipes stand in `benchmarks/recipes`. Accuracy: the mean over seeds
(folds averaged first; a seed counts when all its folds are in) with its 95 % t-interval; of a single seed, the interval
over test rows. Speed: the median over pairs that were measured in turn, with its smallest and largest. Whatever is
chosen is chosen on validation rows; the test part is read once a seed.

| id | what | floor | goal | measured | spread | n | |
|---|---|---:|---:|---:|---|---:|---|
"""


@dataclass(frozen=True)
class Figure:
    """A goal's measurement.

    Args:
        value: Mean over seeds, or median over pairs.
        low: Lower end of the spread.
        high: Upper end.
        count: Seeds or pairs.
    """

    value: float
    low: float
    high: float
    count: int


def newest(records: Sequence[Mapping[str, Any]], benchmark: str) -> list[Mapping[str, Any]]:
    """The newest record of each cell of the newest recipe; development runs never count."""
    mine = [entry for entry in records if entry["benchmark"] == benchmark and "development" not in entry["cell"]]
    recipe = mine[-1]["cell"].get("recipe") if mine else None
    by_cell = {str(sorted(entry["cell"].items())): entry for entry in mine if entry["cell"].get("recipe") == recipe}
    return list(by_cell.values())


def figure(records: Sequence[Mapping[str, Any]], goal: Goal) -> Figure | None:
    """What the records say of a goal; None where they say nothing."""
    found = newest(records, goal.benchmark)
    if not found:
        return None
    values = [float(entry["values"][goal.value]) for entry in found]
    if all("pair" in entry["cell"] for entry in found):
        return Figure(median(values), min(values), max(values), len(values))
    by_seed: dict[int, list[float]] = {}
    for entry, value in zip(found, values, strict=True):
        by_seed.setdefault(entry["cell"]["seed"], []).append(value)
    folds = max(map(len, by_seed.values()))
    means = [mean(group) for group in by_seed.values() if len(group) == folds]
    if len(means) == 1:
        only = found[0]["values"]
        known = goal.value in ("accuracy", "lost") and len(found) == 1 and "low" in only
        return Figure(means[0], only["low"], only["high"], 1) if known else Figure(means[0], means[0], means[0], 1)
    half = float(t.ppf(0.975, len(means) - 1)) * stdev(means) / sqrt(len(means))
    return Figure(mean(means), mean(means) - half, mean(means) + half, len(means))


def verdict(goal: Goal, measured: Figure | None) -> str:
    """`goal met`, `floor met`, `missed` or `not measured`."""
    if measured is None:
        return "not measured"
    if goal.holds(measured.value, goal.goal):
        return "**goal met**"
    return "floor met" if goal.holds(measured.value, goal.floor) else "**missed**"


def line(goal: Goal, measured: Figure | None) -> str:
    """One row of the table."""
    shown = ["", "", ""]
    if measured is not None:
        spread = f"{write(goal, measured.low)} to {write(goal, measured.high)}"
        shown = [write(goal, measured.value), spread, str(measured.count)]
    cells = [goal.row, goal.what, write(goal, goal.floor), write(goal, goal.goal), *shown, verdict(goal, measured)]
    return f"| {' | '.join(cells)} |"


def write(goal: Goal, value: float) -> str:
    """With the unit's digits.

    >>> write(GOALS[0], 0.4512)
    '0.451'
    """
    return {
        "share": f"{value:.3f}",
        "part": f"{value:.3f}",
        "times": f"{value:.2f}x",
        "seconds": f"{value:.1f} s",
        "milliseconds": f"{value:.2f} ms",
        "points": f"{value:.2f} pt",
        "megabytes": f"{value:.1f} MB",
        "rate": f"{value:,.0f}/s",
    }[goal.unit]


def machines(records: Sequence[Mapping[str, Any]]) -> str:
    """Where and with what the figures were measured."""
    seen = {
        f"- {entry['machine']['cpu']}, {entry['machine']['cores']} cores ({', '.join(entry['machine']['flags'])}), "
        f"{entry['machine']['memory_gib']} GiB; "
        + ", ".join(f"{name} {number}" for name, number in entry["versions"].items())
        for entry in records
        if "development" not in entry["cell"]
    }
    return "\n".join(sorted(seen))


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    table = "\n".join(line(goal, figure(records, goal)) for goal in GOALS)
    places = machines(records)
    return f"{HEAD}{table}\n" + (f"\n## Machines\n\n{places}\n" if places else "")


def main() -> None:
    """Write the page."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "README.md").write_text(page(read_all()), encoding="utf-8")
    print(RESULTS / "README.md")


if __name__ == "__main__":
    main()
