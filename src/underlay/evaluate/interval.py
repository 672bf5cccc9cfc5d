"""A value with its 95 % interval, and the two ways to get one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from underlay.core import stream

LEVEL = 0.95
CELLS = 60_000_000
"""Resamples x rows drawn at most: seconds, not minutes, on one core."""
CHUNK = 2_000_000
"""Weights held at once: 16 MB of float64."""
FEWEST = 200
"""Resamples below which percentiles of 2.5 % stand on a handful of values."""


@dataclass(frozen=True)
class Interval:
    """A figure and the range in which it would fall had other rows of the same kind been drawn.

    Args:
        value: Measured on all rows.
        low: Lower end, 95 %.
        high: Upper end, 95 %; `low <= value <= high`.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Statistic(NamedTuple):
    """A metric as a function of column sums, so that one matrix product resamples it a thousand times.

    Args:
        columns: What each row adds, `[N, M]`, an array or a sparse matrix.
        finish: Sums `[R, M]` -> values `[R]`.
        bounds: Smallest and largest value there can be.
        biased: The resampled values lie to one side of the truth (ECE): mirror them at the value.
        proportion: A share of rows; its interval is Wilson's, which keeps its width at 0 and 1.
    """

    columns: Any
    finish: Callable[[np.ndarray], np.ndarray]
    bounds: tuple[float, float] = (0.0, 1.0)
    biased: bool = False
    proportion: bool = False


def intervals(statistics: Mapping[str, Statistic], *, seed: int = 0, resamples: int = 1000) -> dict[str, Interval]:
    """Give each statistic with its percentile-bootstrap interval over rows.

    All statistics see the same resamples. Above 60 million cells (rows x resamples) fewer resamples are drawn,
    never under 200.

    Args:
        statistics: By name; all over the same rows.
        seed: Of the resampling.
        resamples: How many.
    """
    rows = {statistic.columns.shape[0] for statistic in statistics.values()}
    if not statistics or rows == {0}:
        return {}
    sums = resampled_sums(statistics, rows.pop(), seed=seed, resamples=resamples)
    return {name: _interval(statistic, sums[name]) for name, statistic in statistics.items()}


def resampled_sums(
    statistics: Mapping[str, Statistic], rows: int, *, seed: int, resamples: int
) -> dict[str, np.ndarray]:
    """Sum the columns over every resample of the rows: `[R, M]` by name."""
    resamples = max(min(resamples, CELLS // rows), min(resamples, FEWEST))
    rng = stream(seed, "bootstrap")
    step = max(1, CHUNK // rows)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for start in range(0, resamples, step):
        weights = draw_weights(min(step, resamples - start), rows, rng)
        for name, statistic in statistics.items():
            parts[name].append(np.asarray((statistic.columns.T @ weights.T).T))
    return {name: np.concatenate(found) for name, found in parts.items()}


def draw_weights(resamples: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row stands in each resample, `[R, N]`; every line sums to N."""
    drawn = rng.integers(0, rows, size=(resamples, rows), dtype=np.int32)
    return np.stack([np.bincount(line, minlength=rows) for line in drawn]).astype(np.float64)


def _interval(statistic: Statistic, sums: np.ndarray) -> Interval:
    total = np.asarray(statistic.columns.sum(axis=0), dtype=np.float64).reshape(1, -1)
    value = float(statistic.finish(total)[0])
    if statistic.proportion:
        return wilson(value, statistic.columns.shape[0])
    drawn = statistic.finish(sums)
    return percentile_interval(value, drawn, bounds=statistic.bounds, biased=statistic.biased)


def percentile_interval(
    value: float, drawn: np.ndarray, *, bounds: tuple[float, float] = (-np.inf, np.inf), biased: bool = False
) -> Interval:
    """The middle 95 % of resampled values, within `bounds` and around `value`.

    Args:
        value: On all rows.
        drawn: On the resamples, `[R]`; NaN where a resample has no value (a class without a row).
        bounds: Of the statistic.
        biased: Mirror at the value (the "basic" bootstrap) instead of taking percentiles as they are.
    """
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(value, value, value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if biased:
        low, high = 2 * value - high, 2 * value - low
    low, high = np.clip([low, high], *bounds)
    return Interval(value, float(min(low, value)), float(max(high, value)))


def wilson(share: float, rows: int) -> Interval:
    """The score interval of a share of `rows`.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> wilson(1.0, 20).low > 0.8
    True
    """
    if rows == 0:
        return Interval(share, 0.0, 1.0)
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = sqrt(z2 * (share * (1 - share) + z2 / (4 * rows)) / rows) / (1 + z2 / rows)
    return Interval(share, max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share)))
