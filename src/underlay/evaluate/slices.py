"""The key figure on parts of the rows: by a column's values, by length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from underlay.core import Target
from underlay.evaluate.interval import Interval, intervals
from underlay.evaluate.measure import METRICS, Scores, key_metric, known_rows, statistics

MOST = 12
"""Values of a column shown one by one; the rest are one slice."""
BUCKETS = 5
"""Slices of a column of numbers."""


@dataclass(frozen=True)
class Slice:
    """The key figure on some of the rows.

    Args:
        by: The column, or `length`.
        name: Its value or range.
        count: Rows.
        figure: With its interval.
        worse: Whether the whole interval lies on the worse side of the figure on all rows.
    """

    by: str
    name: str
    count: int
    figure: Interval
    worse: bool


def slices(
    target: Target,
    scores: Scores,
    truth: np.ndarray,
    *,
    columns: Mapping[str, Sequence[Any]],
    threshold: float | Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Slice, ...]:
    """The task's key metric on every slice of every column.

    Numbers of more than 12 kinds are cut into fifths; other columns by value, the most frequent 12 and the rest.

    Args:
        target: What was predicted.
        scores: As `measure`.
        truth: As `measure`.
        columns: By name, one value a row; `{"length": [...]}` gives buckets of length.
        threshold: As `measure`.
        seed: Of the resampling.
        resamples: How many.
    """
    name = key_metric(target)
    known = known_rows(target, np.asarray(truth))

    def figure(rows: np.ndarray) -> Interval:
        chosen = {name: statistics(target, scores[rows], truth[rows], threshold=threshold)[name]}
        return intervals(chosen, seed=seed, resamples=resamples)[name]

    if not known.any():
        return ()
    whole = figure(known).value
    found = []
    for column, values in columns.items():
        for part, inside in groups(values).items():
            rows = inside & known
            if rows.any():
                measured = figure(rows)
                worse = measured.high < whole if METRICS[name].higher else measured.low > whole
                found.append(Slice(column, part, int(rows.sum()), measured, bool(worse)))
    return tuple(found)


def groups(values: Sequence[Any]) -> dict[str, np.ndarray]:
    """Which rows each slice of a column holds, `[N]` of bool, by the slice's name.

    >>> list(groups(["b", "a", "b", None]))
    ['b', 'a', '(missing)']
    """
    missing = np.array([value is None or value == "" or value != value for value in values], dtype=bool)
    present = [value for value, gone in zip(values, missing, strict=True) if not gone]
    numeric = bool(present) and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in present
    )
    if numeric and len(set(present)) > MOST:
        found = _ranges(np.array([np.nan if gone else value for value, gone in zip(values, missing, strict=True)]))
    else:
        # 0, 0.0 and -0.0 are one number and must be one name.
        write = (lambda value: f"{value + 0.0:.15g}") if numeric else str
        found = _kinds([None if gone else write(value) for value, gone in zip(values, missing, strict=True)])
        if numeric:
            found = dict(sorted(found.items(), key=lambda kind: float(kind[0])))
    return found | ({"(missing)": missing} if missing.any() else {})


def _ranges(values: np.ndarray) -> dict[str, np.ndarray]:
    present = values[np.isfinite(values)]
    whole = bool((present == present.round()).all() and np.abs(present).max() < 1e15)
    edges = np.unique(np.quantile(present, np.linspace(0, 1, BUCKETS + 1), method="lower"))
    found: dict[str, np.ndarray] = {}
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        # The outermost ranges take infinities in; NaN is in none.
        inside = (values >= (low if number else -np.inf)) & ((values <= np.inf) if last else (values < high))
        top = present[(present >= low) & (present < high)].max() if whole and not last else high
        label = f"{low:,.0f}" if whole and low == top else _range(low, top, whole=whole)
        # Ranges that read alike (1.00001 to 1.00002) are one.
        found[label] = found[label] | inside if label in found else inside
    return found


def _range(low: float, high: float, *, whole: bool) -> str:
    return f"{low:,.0f} – {high:,.0f}" if whole else f"{low:,.4g} – {high:,.4g}"


def _kinds(values: Sequence[str | None]) -> dict[str, np.ndarray]:
    listed = np.array([value or "" for value in values], dtype=object)
    present = np.array([value is not None for value in values], dtype=bool)
    names, counts = np.unique(listed[present].astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    top = names[order[:MOST]].tolist()
    found = {name: (listed == name) & present for name in top}
    if len(names) > MOST:
        found[f"(other {len(names) - MOST} values)"] = present & ~np.isin(listed.astype(str), top)
    return found
