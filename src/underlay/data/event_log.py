"""Logs of events, one row one event, gathered into one row a user with its events in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataError, UsageError
from underlay.data.long_rows import LongRows, constant_columns, long_rows, one_row_each
from underlay.data.table import Table, label_strings, taken

KEYS = ("id", "time", "item", "attributes")


@dataclass(frozen=True)
class EventLog:
    """How events lie in a table.

    Args:
        id: Column that says whose event a row is.
        item: Column of what happened; the gathered column keeps its name.
        time: Column of the moments; empty: the rows stand in their order.
        attributes: Columns of what else is known of each event.

    >>> EventLog.read({"id": "user", "item": "product", "time": "at"}).plain()
    {'id': 'user', 'time': 'at', 'item': 'product', 'attributes': []}
    """

    id: str
    item: str
    time: str = ""
    attributes: tuple[str, ...] = ()

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> "EventLog":
        """From plain data.

        Raises:
            UsageError: Other keys, or columns that stand twice.
        """
        names = {key: given for key, given in spec.items() if given not in (None, "", [], ())}
        more = names.get("attributes", ())
        attributes = (more,) if isinstance(more, str) else tuple(more)
        single = [names.get(key) for key in ("id", "item", "time") if key in names]
        used = [*single, *attributes]
        if (
            not {"id", "item"} <= set(names) <= set(KEYS)
            or not all(isinstance(name, str) for name in used)
            or len(set(used)) != len(used)
        ):
            raise UsageError(
                f"data.events is {dict(spec)!r}",
                "write {id: COLUMN, time: COLUMN, item: COLUMN, attributes: [COLUMN]}, of which id and item are needed "
                "and no column stands twice",
                code="gathering",
            )
        return cls(str(names["id"]), str(names["item"]), str(names.get("time", "")), attributes)

    def plain(self) -> dict[str, Any]:
        """As a recipe says it."""
        return {"id": self.id, "time": self.time, "item": self.item, "attributes": list(self.attributes)}


def gather_events(table: Table, how: EventLog) -> Table:
    """The table with one row a user, whose events stand in order in the column of the items.

    A table that holds lists there already stays as it is. Events of one moment keep the order of the file.

    Raises:
        MissingColumn: A named column is not there.
        DataError: A row says not whose event it is, which item, or when.
    """
    column = table.column(how.item)
    if pa.types.is_nested(column.type) or how.id not in table.columns:
        return table
    for name in how.attributes:
        table.column(name)
    rows = long_rows(table, key=how.id, time=how.time or None, what="user")
    items = _items(table, how.item)
    used = {how.id, how.item, how.time, *how.attributes}
    constant, left_out = constant_columns(table, rows, used=used)
    order = f"in order of {how.time!r}" if how.time else "in the order of the file"
    notes = [
        f"{len(table):,} events gathered into {len(rows):,} rows by {how.id!r}, {order}",
        *([f"not the same within one {how.id}, left out: {', '.join(left_out)}"] if left_out else []),
    ]
    cells = _cells(table, how, rows, taken(items, rows.order))
    found = one_row_each(table, rows, names=[how.id, *constant], cells=cells, column=how.item)
    return replace(found, notes=(*table.notes, *notes), gathered={"events": how.plain()})


def _items(table: Table, name: str) -> pa.ChunkedArray:
    """Names of the items, trimmed."""
    column = table.column(name)
    if not (pa.types.is_string(column.type) or pa.types.is_integer(column.type) or pa.types.is_dictionary(column.type)):
        whole = pa.types.is_floating(column.type) and pc.all(pc.equal(pc.floor(column), column)).as_py()
        if not whole:
            raise DataError(
                f"{table.name}: the column {name!r} holds {column.type}",
                "an item is a text or a whole number",
                code="gathering",
            )
    names = pc.utf8_trim_whitespace(label_strings(column))
    bad = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(names, ""), True).combine_chunks()))
    if len(bad):
        raise DataError(
            f"{table.place(int(bad[0]))}: the item in {name!r} is empty", "name it, or drop the row", code="gathering"
        )
    return names


def _cells(table: Table, how: EventLog, rows: LongRows, items: pa.ChunkedArray) -> pa.Array:
    """Lists of items, or of `{"item", "time", "attributes"}` where more than the item is known."""
    offsets = pa.array(rows.starts, pa.int32())
    flat = items.combine_chunks() if isinstance(items, pa.ChunkedArray) else items
    if rows.times is None and not how.attributes:
        return pa.ListArray.from_arrays(offsets, flat)
    fields: dict[str, Any] = {"item": flat}
    if rows.times is not None:
        fields["time"] = pa.array(rows.times, pa.float64())
    if how.attributes:
        values = [_plain(taken(table.column(name), rows.order)) for name in how.attributes]
        fields["attributes"] = pa.StructArray.from_arrays(values, names=list(how.attributes))
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """Numbers as they are, all else as text: what an attribute may be."""
    kind = column.type
    found = column if pa.types.is_integer(kind) or pa.types.is_floating(kind) else label_strings(column)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def log_of(table: Table, columns: Sequence[str], *, group: str | None, time: str | None) -> EventLog | None:
    """The log that a column of items with a group and a time speaks of; None where each row is one user already.

    Args:
        table: As it was read.
        columns: Read as events.
        group: Column that says whose event a row is.
        time: Column of the moments.

    >>> table = Table(pa.table({"user": [1, 1], "item": ["a", "b"], "at": [0, 1]}))
    >>> log_of(table, ["item"], group="user", time="at").plain()
    {'id': 'user', 'time': 'at', 'item': 'item', 'attributes': []}
    """
    if len(columns) != 1 or group is None or time is None:
        return None
    ids, items = table.column(group), table.column(columns[0])
    if pa.types.is_nested(items.type) or len(pc.unique(ids)) == len(ids):
        return None
    if pa.types.is_string(items.type) and pc.any(pc.match_substring_regex(items, r"^\s*\[|\|")).as_py():
        return None  # cells that hold several items
    return EventLog(group, columns[0], time)
