"""Raw values of a column looked up when they are asked for: pictures and recordings need not all be held at once."""

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from underlay.core import rows_within
from underlay.data.table import Table, taken

SLICE_ROWS = 1 << 15
SLICE_BYTES = 64 << 20
"""Of raw values held as Python objects at a time: few of them, where cells are pictures or recordings."""


class ColumnRows(Sequence[Any]):
    """These rows of a column, in their order, of which one slice is held at a time.

    What is read in order costs one look-up a slice. Not for several threads at once.

    Args:
        table: The data.
        name: Of the column.
        rows: Row numbers; None: all.

    >>> import pyarrow as pa
    >>> rows = ColumnRows(Table(pa.table({"text": ["a", "b", "c"]})), "text", np.array([2, 0]))
    >>> list(rows), rows[-1], rows[:1]
    (['c', 'a'], 'a', ['c'])
    """

    def __init__(self, table: Table, name: str, rows: np.ndarray | None = None) -> None:
        self.column = table.column(name)
        self.rows = rows
        self.step = rows_within(SLICE_BYTES, rows=len(self.column), taken=self.column.nbytes, most=SLICE_ROWS)
        self._first, self._held = 0, list[Any]()

    def __len__(self) -> int:
        return len(self.column) if self.rows is None else len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        for first in range(0, len(self), self.step):
            yield from self._read(first, first + self.step)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            return self._read(start, stop) if step == 1 else [self[one] for one in range(start, stop, step)]
        row = range(len(self))[at]
        if not self._first <= row < self._first + len(self._held):
            self._first = row // self.step * self.step
            self._held = []  # before the next slice is made, so that there are never two
            self._held = self._read(self._first, self._first + self.step)
        return self._held[row - self._first]

    def _read(self, start: int, stop: int) -> list[Any]:
        if self.rows is None:
            return list(self.column.slice(start, max(stop - start, 0)).to_pylist())
        return list(taken(self.column, self.rows[start:stop]).to_pylist())


def column_rows(table: Table, name: str, rows: np.ndarray | None = None) -> Sequence[Any]:
    """Raw values of these rows, or all: a list where they are small, else looked up when they are asked for."""
    column = table.column(name)
    share = 1.0 if rows is None else len(rows) / max(len(column), 1)
    return table.values(name, rows) if column.nbytes * share <= SLICE_BYTES else ColumnRows(table, name, rows)
