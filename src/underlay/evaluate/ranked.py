"""What is measured of answers that are a ranking of all labels: where the one that came stands in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from underlay.evaluate.interval import Statistic

CUT = 10
"""Places of a ranking that a person looks at."""

ABSENT = -1
"""The truth of a row whose answer is none of the labels: it has no place in any ranking."""


CELLS = 1 << 22
"""Scores of rows over labels that are held at a time, 32 MiB in double precision: a row may rank a million items."""


@dataclass(frozen=True)
class Ranked:
    """What is measured of N rankings; the scores of all labels need not be held for it.

    Args:
        places: Of the true label, from 1; infinite where it is none. float64 `[N]`.
        best: The likeliest label, `[N]`.
        sureness: Its probability, `[N]`.
    """

    places: np.ndarray
    best: np.ndarray
    sureness: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, truth: np.ndarray) -> "Ranked":
        """Of scores `[N, K]`, as `ranks_of` takes them.

        >>> Ranked.of(np.array([[0.2, 0.5, 0.3]]), np.array([2]))[0:1].places.tolist()
        [2.0]
        """
        best = scores.argmax(1) if len(scores) else np.zeros(0, np.int64)
        return cls(ranks_of(scores, truth), best, np.take_along_axis(scores, best[:, None], axis=1)[:, 0])

    @classmethod
    def joined(cls, parts: Iterable["Ranked"]) -> "Ranked":
        """Those of several blocks of rows, in order; at least one block."""
        found = list(parts)
        return cls(*(np.concatenate([getattr(one, field.name) for one in found]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Sequence[int] | np.ndarray | slice) -> "Ranked":
        return Ranked(self.places[rows], self.best[rows], self.sureness[rows])


def blocks(rows: int, labels: int) -> list[slice]:
    """Rows in blocks of which no more than `CELLS` scores are held; one at least, which may be empty.

    >>> blocks(3, CELLS // 2)
    [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, CELLS // max(labels, 1))
    return [slice(first, min(first + step, rows)) for first in range(0, max(rows, 1), step)]


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


def ranking(scores: np.ndarray | Ranked, truth: np.ndarray) -> dict[str, Statistic]:
    """Statistics over all labels, none of them sampled: the place of the one that came counts.

    `ndcg@10` has one relevant label a row, so that its ideal is 1: `1 / log2(1 + place)` within the first ten, else 0.
    `hr@10` is the share of rows within the first ten, `mrr` the mean of `1 / place`.

    Args:
        scores: As `ranks_of`, or what was kept of them.
        truth: As `ranks_of`; what training has not seen is a miss.

    Source: Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020: why no label is left out.
    """
    places = scores.places if isinstance(scores, Ranked) else ranks_of(scores, truth)
    within = places <= CUT
    gains = np.where(within, 1 / np.log2(1 + places), 0.0)
    count = len(truth)
    return {
        f"ndcg@{CUT}": Statistic(gains[:, None], lambda sums: sums[:, 0] / count),
        f"hr@{CUT}": Statistic(within[:, None].astype(np.float64), lambda sums: sums[:, 0] / count, proportion=True),
        "mrr": Statistic((1 / places)[:, None], lambda sums: sums[:, 0] / count),
    }
