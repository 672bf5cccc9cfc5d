"""Tables of which several rows are one thing: a moment of a series, an event of a user."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataError
from underlay.data.table import Table, taken
from underlay.data.targets import MISSING


@dataclass(frozen=True)
class LongRows:
    """Which rows belong together, and in which order.

    Args:
        order: Row numbers, those of one thing side by side, int64 `[N]`; things in the order of their first rows.
        starts: Where each thing begins in `order`, and `N` behind the last, `[T + 1]`.
        times: Of the rows in that order, `[N]`; None where none were named.
    """

    order: np.ndarray
    starts: np.ndarray
    times: np.ndarray | None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def firsts(self) -> np.ndarray:
        """The first row of each thing."""
        return np.asarray(self.order[self.starts[:-1]])

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each thing."""
        return np.diff(self.starts)


def long_rows(table: Table, *, key: str, time: str | None, what: str) -> LongRows:
    """Put the rows of one `key` together in order of time; rows of one moment stay in the order of the file.

    Args:
        table: As it was read.
        key: Column that says what a row belongs to.
        time: Column of the moments; None: the order of the file counts.
        what: How a thing is called in messages: `series`, `user`.

    Raises:
        MissingColumn: A named column is not there.
        DataError: A key is empty, or a time is none.
    """
    ids = table.column(key).to_pylist()
    empty = next((row for row, one in enumerate(ids) if one is None or one != one or one == ""), None)
    if empty is not None:
        raise DataError(
            f"{table.place(empty)}: {key!r} is empty", f"say which {what} each row belongs to", code="gathering"
        )
    codes = {one: at for at, one in enumerate(dict.fromkeys(ids))}
    which = np.array([codes[one] for one in ids], dtype=np.int64)
    times = None if time is None else times_of(table, time)
    order = np.argsort(which, kind="stable") if times is None else np.lexsort((times, which))
    ends = np.flatnonzero(np.diff(which[order])) + 1
    starts = np.concatenate([[0], ends, [len(which)]]) if len(which) else np.zeros(1, np.int64)
    return LongRows(order, starts, None if times is None else times[order])


def constant_columns(table: Table, rows: LongRows, *, used: set[str]) -> tuple[list[str], list[str]]:
    """Which of the columns that are not `used` have one value for each thing, and which have not."""
    constant: list[str] = []
    left_out: list[str] = []
    for name in table.columns:
        if name in used:
            continue
        cells = np.array([repr(cell) for cell in table.values(name, rows.order)], dtype=object)
        same = cells == cells[np.repeat(rows.starts[:-1], rows.sizes)]
        (constant if bool(same.all()) else left_out).append(name)
    return constant, left_out


def one_row_each(table: Table, rows: LongRows, *, names: list[str], cells: pa.Array, column: str) -> Table:
    """A row for each thing: what is the same in all its rows, and its own cell in a new column."""
    kept = {name: taken(table.column(name), rows.firsts) for name in names}
    lines = None if table.lines is None else taken(table.lines, rows.firsts)
    return replace(table, arrow=pa.table({**kept, column: cells}), lines=lines)


def times_of(table: Table, name: str) -> np.ndarray:
    """Numbers, or seconds since 1970 for dates, float64 `[N]`.

    Raises:
        DataError: A cell is neither; the first one is named.
    """
    column = table.column(name)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        moments = column.cast(pa.timestamp("us")).cast(pa.int64())
        found = np.asarray(pc.cast(moments, pa.float64()).to_numpy(), dtype=np.float64) / 1e6
    else:
        found = _numbers_or_dates(table, name)
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        raise DataError(
            f"{table.place(int(bad[0]))}: the time {table.values(name, [int(bad[0])])[0]!r} in {name!r} is none",
            "write a number or an ISO date (2024-01-31T12:00:00)",
            code="gathering",
        )
    return found


def _numbers_or_dates(table: Table, name: str) -> np.ndarray:
    column = table.column(name)
    found = parsed_numbers(column)
    if found is not None:
        return found
    try:
        moments = pc.cast(column, pa.timestamp("us"))
        return np.asarray(moments.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.float64) / 1e6
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return numbers_of(table, name)


def numbers_of(table: Table, name: str) -> np.ndarray:
    """The numbers of a column, float64 `[N]`, NaN for empty cells.

    Raises:
        DataError: A cell is no number; the first one is named.
    """
    column = table.column(name)
    found = parsed_numbers(column)
    if found is not None:
        return found
    for row, cell in enumerate(column.to_pylist()):
        if cell is not None and parsed_numbers(pa.chunked_array([pa.array([cell])])) is None:
            raise DataError(
                f"{table.place(row)}: {cell!r:.60} in column {name!r} is no number",
                "write a number, or leave the cell empty where one is missing",
                code="gathering",
            )
    raise DataError(f"{table.name}: the column {name!r} holds {column.type}", "give numbers", code="gathering")


def parsed_numbers(column: pa.ChunkedArray) -> np.ndarray | None:
    """float64 `[N]`, NaN for what is missing; None where a cell is no number."""
    if pa.types.is_boolean(column.type):
        return None
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.is_in(trimmed, pa.array(MISSING)), pa.scalar(None, pa.string()), trimmed)
    try:
        return np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
