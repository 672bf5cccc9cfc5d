"""Views of sequences: values that are looked up when they are asked for, so that large ones need not all be held."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np


class Picked(Sequence[Any]):
    """Some values of a sequence, looked up when they are asked for.

    Args:
        values: All of them.
        places: Of those that are meant.

    >>> list(Picked("abc", np.array([2, 0])))
    ['c', 'a']
    """

    def __init__(self, values: Sequence[Any], places: np.ndarray) -> None:
        self.values, self.places = values, places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self.values[int(place)] for place in self.places[at]]
        return self.values[int(self.places[at])]


class Beside(Sequence[tuple[Any, ...]]):
    """The values of several columns, a tuple a row, made when it is asked for.

    Args:
        columns: Of one length.

    >>> list(Beside(["ab", [1, 2]]))
    [('a', 1), ('b', 2)]
    """

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        self.columns = tuple(columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> list[tuple[Any, ...]]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return list(zip(*(column[at] for column in self.columns), strict=True))
        return tuple(column[at] for column in self.columns)


def picked(values: Sequence[Any], places: np.ndarray) -> Sequence[Any]:
    """Some values of a sequence; of several columns side by side, they stay side by side.

    >>> picked(Beside(["ab", [1, 2]]), np.array([1])).columns[0][0]
    'b'
    """
    if isinstance(values, Beside):
        return Beside([Picked(column, places) for column in values.columns])
    return Picked(values, places)
