"""Series that a table keeps in many columns (wide) or in many rows (long), gathered into one column `series`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from underlay.core import DataError, MissingColumn, UsageError
from underlay.data.arrays import nested
from underlay.data.long_rows import constant_columns, long_rows, numbers_of, one_row_each, parsed_numbers
from underlay.data.table import Table

SERIES = "series"
"""The column that is made."""

FEWEST = 16
"""Columns that are taken for a series unasked; fewer may be measurements that happen to be numbered."""

_MOMENT = re.compile(r"(|t|ts|time|timestep|step)[ _.\-]?(\d+)", re.IGNORECASE)
"""Names of moments: 0, t0, t_0, time 0, step-0."""

_LOOKED_AT = 200
_EVEN = 1e-6
"""Steps of one series may differ by this share of the mean step and still count as even."""


@dataclass(frozen=True)
class Gathering:
    """How series lie in a table.

    Args:
        wide: What the numbered columns of each channel begin with: `["t"]`, or `["x_", "y_"]`.
        id: Column that says which row belongs to which series (long).
        time: Column of their times (long).
        value: Columns of values, one a channel (long).
    """

    wide: tuple[str, ...] = ()
    id: str = ""
    time: str = ""
    value: tuple[str, ...] = ()

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> "Gathering":
        """From plain data: `{wide: t}` or `{id: run, time: seconds, value: [x, y]}`.

        Raises:
            UsageError: Other keys, or keys of both.
        """
        names = {key: (given,) if isinstance(given, str) else tuple(given or ()) for key, given in spec.items()}
        if set(names) == {"wide"} and names["wide"]:
            return cls(wide=names["wide"])
        if (
            set(names) == {"id", "time", "value"}
            and all(names.values())
            and len(names["id"]) == len(names["time"]) == 1
        ):
            return cls(id=names["id"][0], time=names["time"][0], value=names["value"])
        raise UsageError(
            f"data.series is {dict(spec)!r}",
            "write {wide: PREFIX} where each moment is a column, {id: COLUMN, time: COLUMN, value: [COLUMN]} where it "
            "is a row, or false",
            code="gathering",
        )

    def plain(self) -> dict[str, Any]:
        """As a recipe says it."""
        if self.wide:
            return {"wide": list(self.wide)}
        return {"id": self.id, "time": self.time, "value": list(self.value)}


def find_wide(table: Table) -> Gathering | None:
    """The numbered columns of moments of a table whose other columns are no input, where there is one such set.

    >>> columns = {f"t{at}": [0.5] for at in range(20)}
    >>> find_wide(Table(pa.table({**columns, "label": ["a"]}))).wide
    ('t',)
    """
    if SERIES in table.columns:
        return None
    prefixes: dict[str, int] = {}
    for name in table.columns:
        if found := _MOMENT.fullmatch(name.strip()):
            prefix = name.strip()[: found.start(2)]
            prefixes[prefix] = prefixes.get(prefix, 0) + 1
    long_enough = [prefix for prefix, count in prefixes.items() if count >= FEWEST]
    if len(long_enough) != 1:
        return None
    names = _numbered(table, long_enough[0])
    if not names or not all(_is_numeric(table.column(name)) for name in names):
        return None
    others = [name for name in table.columns if name not in names]
    if any(_is_input(table.column(name)) for name in others):
        return None
    return Gathering(wide=(long_enough[0],))


def gather(table: Table, how: Gathering) -> Table:
    """The table with its series in one column; a table that has them in one already stays as it is.

    Raises:
        MissingColumn: A named column is not there.
        DataError: A cell is no number, a moment appears twice, channels have different moments.
    """
    if SERIES in table.columns and not _present(table, how):
        return table
    found = _gather_wide(table, how.wide) if how.wide else _gather_long(table, how)
    return replace(found, gathered={"series": how.plain()})


def _present(table: Table, how: Gathering) -> bool:
    return all(_numbered(table, prefix) for prefix in how.wide) if how.wide else how.id in table.columns


def _gather_wide(table: Table, prefixes: Sequence[str]) -> Table:
    channels = [_numbered(table, prefix) for prefix in prefixes]
    for prefix, names in zip(prefixes, channels, strict=True):
        if not names:
            raise MissingColumn(f"data.series.wide={prefix!r}", f"{prefix}0", table.columns)
    moments = {tuple(_number(name, prefix) for name in names) for prefix, names in zip(prefixes, channels, strict=True)}
    if len(moments) > 1:
        raise DataError(
            f"{table.name}: the columns {', '.join(f'{prefix}…' for prefix in prefixes)} do not have the same numbers",
            "each channel needs a column for every moment",
            code="gathering",
        )
    grid = np.stack([np.stack([numbers_of(table, name) for name in names], axis=1) for names in channels], axis=1)
    used = {name for names in channels for name in names}
    rest = table.arrow.select([name for name in table.columns if name not in used])
    if SERIES in rest.column_names:
        raise UsageError(f"{table.name} has a column {SERIES!r} already", "rename it", code="gathering")
    _, count, length = grid.shape
    series = _trimmed(grid[:, 0]) if count == 1 else nested(grid)
    first, last = channels[0][0], channels[-1][-1]
    note = f"{len(used)} columns {first!r} to {last!r} read as series of {length} moments" + (
        f" and {count} channels" if count > 1 else ""
    )
    return replace(table, arrow=rest.append_column(SERIES, series), notes=(*table.notes, note))


def _trimmed(grid: np.ndarray) -> pa.Array:
    """Lists without the empty cells that fill up the end of short rows."""
    seen = ~np.isnan(grid)
    lengths = np.where(seen.any(axis=1), grid.shape[1] - seen[:, ::-1].argmax(axis=1), 0)
    kept = np.arange(grid.shape[1]) < lengths[:, None]
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(grid[kept]))


def _gather_long(table: Table, how: Gathering) -> Table:
    for name in how.value:
        table.column(name)
    rows = long_rows(table, key=how.id, time=how.time, what="series")
    times, starts = np.asarray(rows.times), rows.starts
    inner = np.ones(len(times) - 1, bool) if len(times) else np.zeros(0, bool)
    inner[starts[1:-1] - 1] = False
    again = np.flatnonzero(inner & (np.diff(times) == 0))
    if len(again):
        row = int(rows.order[again[0] + 1])
        raise DataError(
            f"{table.place(row)}: {how.id} {table.values(how.id, [row])[0]!r} has the time "
            f"{table.values(how.time, [row])[0]!r} twice",
            "keep one value for each time",
            code="gathering",
        )
    values = np.stack([numbers_of(table, name)[rows.order] for name in how.value])
    constant, left_out = constant_columns(table, rows, used={how.id, how.time, *how.value})
    notes = [
        f"{len(table):,} rows gathered into {len(rows):,} series by {how.id!r}, in order of {how.time!r}",
        *([f"not the same within one {how.id}, left out: {', '.join(left_out)}"] if left_out else []),
    ]
    cells = _series_of(values, times, starts)
    found = one_row_each(table, rows, names=[how.id, *constant], cells=cells, column=SERIES)
    return replace(found, notes=(*table.notes, *notes))


def _series_of(values: np.ndarray, times: np.ndarray, starts: np.ndarray) -> pa.Array:
    """Lists where every series is even in time, else `{"time": ..., "value": ...}` for all."""
    pairs = list(pairwise(starts.tolist()))
    cells: list[Any] = [
        values[0, begin:end].tolist() if len(values) == 1 else values[:, begin:end].tolist() for begin, end in pairs
    ]
    clean = [_with_none(cell) for cell in cells]
    if all(_even(times[begin:end]) for begin, end in pairs):
        return pa.array(clean)
    return pa.array(
        [{"time": times[begin:end].tolist(), "value": cell} for (begin, end), cell in zip(pairs, clean, strict=True)]
    )


def _with_none(cell: list[Any]) -> list[Any]:
    return [_with_none(one) if isinstance(one, list) else None if one != one else one for one in cell]


def _even(times: np.ndarray) -> bool:
    steps = np.diff(times)
    return len(steps) < 2 or float(np.ptp(steps)) <= _EVEN * float(steps.mean())


def _is_numeric(column: pa.ChunkedArray) -> bool:
    return parsed_numbers(column) is not None


def _is_input(column: pa.ChunkedArray) -> bool:
    """Whether a column could be what a model reads: lists, bytes, or text of several words."""
    if pa.types.is_string(column.type):
        cells = [cell for cell in column.slice(0, _LOOKED_AT).to_pylist() if cell]
        return bool(cells) and float(np.mean([len(cell.split()) for cell in cells])) >= 2.5  # as a text is told
    return bool(pa.types.is_nested(column.type) or pa.types.is_binary(column.type))


def _numbered(table: Table, prefix: str) -> list[str]:
    """The columns `PREFIX0`, `PREFIX1`, …, in order of their numbers; none where one is left out."""
    numbers = {_number(name, prefix): name for name in table.columns if _number(name, prefix) >= 0}
    first = min(numbers, default=0)
    if first > 1 or set(numbers) != set(range(first, first + len(numbers))):
        return []
    return [numbers[at] for at in sorted(numbers)]


def _number(name: str, prefix: str) -> int:
    """What follows the prefix, -1 where it is no whole number."""
    rest = name.strip().removeprefix(prefix) if name.strip().startswith(prefix) else ""
    return int(rest) if rest.isdecimal() and rest.isascii() else -1
