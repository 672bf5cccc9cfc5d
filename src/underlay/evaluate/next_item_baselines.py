"""What one gets for the next item without learning an order: what is popular, and what goes with what was there."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import numpy as np
from scipy import sparse

from underlay.core import Target
from underlay.evaluate.baselines import Baseline
from underlay.evaluate.measure import measure
from underlay.evaluate.ranked import Ranked, blocks

Names = Sequence[str | None]
"""Items of one row in order, None where one is hidden."""


def next_item_baselines(
    target: Target,
    taught: Sequence[Names],
    histories: Sequence[Names],
    truth: np.ndarray,
    *,
    barred: Sequence[Sequence[str]],
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Baseline, ...]:
    """Popularity, then item-kNN with the cosine; both fitted on the rows that teach.

    Args:
        target: Its labels.
        taught: Items of the training rows.
        histories: Items of the test rows, without what is asked.
        truth: As `measure`.
        barred: Of each test row: items that are no answer.
        seed: Of the intervals.
        resamples: Of the intervals.
    """
    places = {name: at for at, name in enumerate(target.labels)}
    known, asked = counted(taught, places), counted(histories, places)
    counts = np.asarray(known.sum(0)).ravel()
    popular = counts / max(counts.sum(), 1.0)

    def scored(name: str, answer: Callable[[slice], np.ndarray]) -> Baseline:
        started = perf_counter()
        found = []
        for rows in blocks(len(histories), len(places)):
            scores = answer(rows)
            scores[_closed(barred[rows], places)] = 0.0
            found.append(Ranked.of(scores, truth[rows]))
        ranked = Ranked.joined(found)
        seconds = perf_counter() - started
        metrics = measure(target, ranked, truth, seed=seed, resamples=resamples)
        return Baseline(name, metrics, ranked, seconds, len(taught))

    return (
        scored("Popularity", lambda rows: np.tile(popular, (rows.stop - rows.start, 1))),
        scored("Item-kNN (cosine)", lambda rows: neighbours(known, asked[rows])),
    )


def neighbours(taught: sparse.csr_matrix, histories: sparse.csr_matrix) -> np.ndarray:
    """For each history and item the sum of the item's cosines with the history's items, `[N, K]`.

    The cosine of two items is that of the sets of rows that hold them; an item is no neighbour of itself.

    Args:
        taught: How often each training row holds each item, `[R, K]`.
        histories: The same of the rows that ask, `[N, K]`.

    Source: Sarwar et al., Item-Based Collaborative Filtering Recommendation Algorithms, WWW 2001.

    >>> taught = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 1]]))
    >>> neighbours(taught, sparse.csr_matrix(np.array([[1, 0, 0]]))).round(3).tolist()
    [[0.0, 1.0, 0.707]]
    """
    held, asked = (taught > 0).astype(np.float64), (histories > 0).astype(np.float64)
    norms = np.sqrt(np.asarray(held.sum(0)).ravel())
    scale = sparse.diags(1 / np.maximum(norms, 1.0))
    found = np.asarray((((asked @ scale) @ held.T) @ held @ scale).todense())
    own = asked.multiply(norms > 0).tocoo()
    found[own.row, own.col] -= 1.0
    return np.asarray(np.maximum(found, 0.0))


def counted(rows: Sequence[Names], places: Mapping[str, int]) -> sparse.csr_matrix:
    """How often each row holds each item, `[R, K]`."""
    pairs = [(row, places[name]) for row, names in enumerate(rows) for name in names if name and name in places]
    at = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return sparse.csr_matrix((np.ones(len(at)), (at[:, 0], at[:, 1])), shape=(len(rows), len(places)))


def _closed(barred: Sequence[Sequence[str]], places: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is no answer; of a row where all is, nothing is closed."""
    kept = [[places[name] for name in names if name in places] for names in barred]
    rows = [row for row, columns in enumerate(kept) if len(columns) < len(places) for _ in columns]
    columns = [column for own in kept if len(own) < len(places) for column in own]
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
