"""Where to cut a probability so that the decisions are best."""

from collections.abc import Sequence

import numpy as np

FEWEST = 5
"""Positive rows below which a threshold of one's own is noise."""


def choose_threshold(probability: np.ndarray, truth: np.ndarray) -> float:
    """The threshold with the best F1: a row at or above it is positive. .5 with fewer than 5 positive rows.

    Choose it on validation rows. It lies midway between two scores, so that it holds for scores near them.

    Args:
        probability: Of being positive, `[N]`.
        truth: 0 and 1, `[N]`; other rows are set aside.

    >>> float(choose_threshold(np.array([0.1, 0.2, 0.3, 0.3, 0.3, 0.4, 0.4]), np.array([0, 0, 1, 1, 1, 1, 1])))
    0.25
    """
    known = (truth == 0) | (truth == 1)
    probability, truth = np.asarray(probability, dtype=np.float64)[known], truth[known]
    if truth.sum() < FEWEST:
        return 0.5
    order = np.argsort(-probability, kind="stable")
    score, right = probability[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.append(np.diff(score) != 0, True))
    best = ends[int(np.argmax(right[ends] / (ends + 1 + truth.sum())))]
    below = score[best + 1] if best + 1 < len(score) else 0.0
    return float((score[best] + below) / 2)


def choose_thresholds(probabilities: np.ndarray, truth: np.ndarray) -> Sequence[float]:
    """`choose_threshold` for each label of a multilabel target.

    Args:
        probabilities: `[N, K]`.
        truth: `[N, K]` of 0 and 1.
    """
    return [choose_threshold(probabilities[:, label], truth[:, label]) for label in range(truth.shape[1])]
