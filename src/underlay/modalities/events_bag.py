"""A bag of items: what a linear model sees of a sequence without its order."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import sparse

from underlay.core import RowProblem


class BagOfItems:
    """A scikit-learn transformer, raw values -> sparse `[N, V + 1]`; what cannot be read gives zeros.

    Of each known item `1 + log(count)`, as TF-IDF damps counts, and behind them the logarithm of the length; rows of
    length 1.

    Args:
        ids: A raw value -> places of its items among the known ones, -1 where one is not known.
        items: Items known by name.
    """

    def __init__(self, ids: Callable[[Any], np.ndarray | RowProblem], items: int) -> None:
        self.ids, self.items = ids, items

    def fit(self, values: Iterable[Any], truth: Any = None) -> "BagOfItems":
        """Learn nothing."""
        return self

    def fit_transform(self, values: Iterable[Any], truth: Any = None) -> Any:
        """As `transform`."""
        return self.transform(values)

    def transform(self, values: Iterable[Any]) -> Any:
        """Features of each value, float64, sparse."""
        rows = [self._row(value) for value in values]
        ends = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows], dtype=np.int64)])
        columns = np.concatenate([np.zeros(0, np.int64), *(columns for columns, _ in rows)])
        weights = np.concatenate([np.zeros(0), *(weights for _, weights in rows)])
        return sparse.csr_matrix((weights, columns, ends), shape=(len(rows), self.items + 1))

    def _row(self, value: Any) -> tuple[np.ndarray, np.ndarray]:
        """Columns of one value, and what stands in them."""
        found = self.ids(value)
        if isinstance(found, RowProblem) or not len(found):
            return np.zeros(0, np.int64), np.zeros(0)
        known, counts = np.unique(found[found >= 0], return_counts=True)
        weights = np.append(1 + np.log(counts), np.log1p(len(found)))
        return np.append(known, self.items), weights / np.linalg.norm(weights)
