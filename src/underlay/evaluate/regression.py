"""What is measured of answers that are numbers."""

import numpy as np

from underlay.evaluate.classification import mean_of
from underlay.evaluate.interval import Statistic


def numbers(predictions: np.ndarray, truth: np.ndarray) -> dict[str, Statistic]:
    """Statistics of a regression target; `r2` and `spearman` are left out when the truth does not vary.

    Args:
        predictions: `[N]`.
        truth: `[N]`.
    """
    error = predictions - truth
    found = {
        "mae": mean_of(np.abs(error), top=np.inf),
        "rmse": Statistic((error**2)[:, None], lambda sums: np.sqrt(sums[:, 0] / len(truth)), bounds=(0.0, np.inf)),
    }
    spread = float(truth.std())
    if spread > 0:
        from_mean = (truth - truth.mean()) / spread
        columns = np.stack([(error / spread) ** 2, from_mean, from_mean**2], axis=1)
        found["r2"] = Statistic(columns, lambda sums: _r2(sums, len(truth)), bounds=(-np.inf, 1.0))
        found["spearman"] = correlation(ranks(predictions), ranks(truth))
    return found


def _r2(sums: np.ndarray, rows: int) -> np.ndarray:
    varied = sums[:, 2] - sums[:, 1] ** 2 / rows
    return 1 - sums[:, 0] / np.where(varied > 0, varied, np.nan)


def correlation(one: np.ndarray, other: np.ndarray) -> Statistic:
    """Pearson's correlation; 0 where one of the two is constant."""
    a, b = one - one.mean(), other - other.mean()

    def finish(sums: np.ndarray) -> np.ndarray:
        left, right, both, left2, right2 = sums.T / len(a)
        below = np.maximum(left2 - left**2, 0) * np.maximum(right2 - right**2, 0)
        return np.where(below > 0, (both - left * right) / np.sqrt(np.where(below > 0, below, 1)), 0.0)

    return Statistic(np.stack([a, b, a * b, a * a, b * b], axis=1), finish, bounds=(-1.0, 1.0))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, scaled to at most 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    return np.asarray((last - (count - 1) / 2)[place] / max(len(values) - 1, 1))
