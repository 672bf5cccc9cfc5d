"""Rows of unequal length: an array of arrays, one a row."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def ragged(rows: Iterable[Any]) -> np.ndarray:
    """An array of N arrays, one a row, whatever their lengths.

    >>> ragged([np.array([1, 2]), np.array([3])]).shape
    (2,)
    """
    listed = list(rows)
    found = np.empty(len(listed), dtype=object)
    for at, row in enumerate(listed):
        found[at] = np.asarray(row)
    return found


def is_ragged(values: np.ndarray) -> bool:
    """Whether it is an array of arrays.

    >>> is_ragged(ragged([np.array([1, 0])])), is_ragged(np.array([1, 0]))
    (True, False)
    """
    return bool(values.dtype == object)


def joined(values: np.ndarray) -> np.ndarray:
    """All rows end to end; what is not ragged stays as it is.

    >>> joined(ragged([np.array([1, 2]), np.array([3])])).tolist()
    [1, 2, 3]
    """
    if not is_ragged(values):
        return values
    return np.concatenate(list(values)) if len(values) else np.zeros(0)
