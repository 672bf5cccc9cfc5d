"""What is measured of answers that are a ranking of all labels: where the one that came stands in it."""

import numpy as np

from underlay.evaluate.interval import Statistic

CUT = 10
"""Places of a ranking that a person looks at."""

ABSENT = -1
"""The truth of a row whose answer is none of the labels: it has no place in any ranking."""


def ranks_of(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The place of the true label in the ranking of all labels, from 1, float64 `[N]`; infinite where it is none.

    Of labels with one score the true one stands last: what does not tell labels apart gets nothing for it.

    Args:
        scores: `[N, K]`; 0 or less for labels that are no answer.
        truth: Label indices `[N]`, -1 where the truth is none of them.

    >>> ranks_of(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]), np.array([2, 0])).tolist()
    [2.0, 2.0]
    """
    known = truth >= 0
    own = np.take_along_axis(scores, np.maximum(truth, 0)[:, None], axis=1)
    ahead = (scores >= own).sum(1).astype(np.float64)  # itself included
    return np.where(known, ahead, np.inf)


def ranking(scores: np.ndarray, truth: np.ndarray) -> dict[str, Statistic]:
    """Statistics over all labels, none of them sampled: the place of the one that came counts.

    `ndcg@10` has one relevant label a row, so that its ideal is 1: `1 / log2(1 + place)` within the first ten, else 0.
    `hr@10` is the share of rows within the first ten, `mrr` the mean of `1 / place`.

    Args:
        scores: As `ranks_of`.
        truth: As `ranks_of`; what training has not seen is a miss.

    Source: Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020: why no label is left out.
    """
    places = ranks_of(scores, truth)
    within = places <= CUT
    gains = np.where(within, 1 / np.log2(1 + places), 0.0)
    count = len(truth)
    return {
        f"ndcg@{CUT}": Statistic(gains[:, None], lambda sums: sums[:, 0] / count),
        f"hr@{CUT}": Statistic(within[:, None].astype(np.float64), lambda sums: sums[:, 0] / count, proportion=True),
        "mrr": Statistic((1 / places)[:, None], lambda sums: sums[:, 0] / count),
    }
