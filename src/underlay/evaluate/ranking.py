"""How well scores order the rows: areas under the ROC and the precision-recall curve, rank correlation.

These are not sums over rows, so their bootstrap would sort every resample. Each row's influence (how the area
changes with the row's weight) is a sum, and differs from the exact resampled value by O(1/N) only.
"""

from typing import NamedTuple

import numpy as np

from underlay.evaluate.interval import Statistic


class Influence(NamedTuple):
    """An area and each row's first-order part in it.

    Args:
        value: The area; NaN when one of the two sides has no row.
        rows: `[N]`, sums to 0.
    """

    value: float
    rows: np.ndarray


def roc_area(scores: np.ndarray, positive: np.ndarray) -> Influence:
    """The probability that a positive row scores above a negative one, ties half.

    Args:
        scores: `[N]`.
        positive: `[N]` of bool.

    Source: DeLong et al., Comparing the areas under correlated ROC curves, Biometrics 1988 (the components).
    """
    many, few = int(positive.sum()), int((~positive).sum())
    if not many or not few:
        return Influence(np.nan, np.zeros(len(scores)))
    rising = np.sort(scores[positive]), np.sort(scores[~positive])
    part = np.empty(len(scores))
    part[positive] = _share_below(rising[1], scores[positive])
    part[~positive] = 1 - _share_below(rising[0], scores[~positive])
    area = float(part[positive].mean())
    return Influence(area, (part - area) / np.where(positive, many, few))


def _share_below(sorted_scores: np.ndarray, at: np.ndarray) -> np.ndarray:
    below, upto = (np.searchsorted(sorted_scores, at, side=side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2 * len(sorted_scores)))


def precision_recall_area(scores: np.ndarray, positive: np.ndarray) -> Influence:
    """Average precision: precision at each positive row's score, averaged over the positive rows.

    Args:
        scores: `[N]`.
        positive: `[N]` of bool.

    Source: scikit-learn's `average_precision_score` (no interpolation); equal scores are one threshold.
    """
    many = int(positive.sum())
    if not many:
        return Influence(np.nan, np.zeros(len(scores)))
    order = np.argsort(-scores, kind="stable")
    hit = positive[order].astype(np.float64)
    last = _last_of_ties(scores[order])
    above = last + 1.0  # rows at or above each row's score
    precision = np.cumsum(hit)[last] / above
    area = float((hit * precision).sum() / many)
    # A row above a positive one changes the precision there by (its hit - precision) / rows above.
    first = np.maximum.accumulate(np.concatenate(([0], np.where(np.diff(last) > 0, last[:-1] + 1, 0))))
    weight, weighted = _from_below(hit / above), _from_below(hit * precision / above)
    effect = hit * (precision - area) + hit * weight[first] - weighted[first]
    rows = np.empty(len(scores))
    rows[order] = effect / many
    return Influence(area, rows)


def _last_of_ties(falling: np.ndarray) -> np.ndarray:
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    return ends[np.searchsorted(ends, np.arange(len(falling)))]


def _from_below(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.cumsum(values[::-1])[::-1])


def mean_influence(parts: list[Influence]) -> Statistic | None:
    """The mean area over classes as a statistic; classes without both sides are left out, None if all are."""
    known = [part for part in parts if np.isfinite(part.value)]
    if not known:
        return None
    value = float(np.mean([part.value for part in known]))
    rows = np.mean([part.rows for part in known], axis=0)
    return Statistic(rows[:, None], lambda sums: value + sums[:, 0])
