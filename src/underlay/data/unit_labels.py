"""Targets with one label for each unit of a row: a list of tags beside a list of words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataError, Target, listed, nearest, ragged
from underlay.data.table import Table

UNLABELLED = -100
_SLICE = 1 << 14


def encode_unit_labels(table: Table, target: Target, missing: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Class indices of each row's units, and which rows have none at all.

    Gives an array of N int64 arrays `[U]`, -100 where a unit's label is null, and bool `[N]`.

    Args:
        table: The data.
        target: With its labels.
        missing: What a string cell holds that means "no labels".

    Raises:
        DataError: A cell is no list, a label is none of the target's, or is no name; the message names the place.

    >>> table = Table(pa.table({"tags": [["O", "B"], None]}))
    >>> values, gone = encode_unit_labels(table, Target("tags", "tagging", ("B", "O")), ())
    >>> [row.tolist() for row in values], gone.tolist()
    ([[1, 0], []], [False, True])
    """
    positions = {name: at for at, name in enumerate(target.labels)}
    found_rows = []
    for row, names in enumerate(label_rows(table, target.name, missing)):
        found = np.full(len(names), UNLABELLED, np.int64)
        for at, name in enumerate(names):
            if name is None:
                continue
            if name not in positions:
                raise DataError(
                    f"{table.place(row)}: column {target.name!r} holds {name!r} at unit {at + 1}, none of the "
                    f"{len(target.labels)} labels",
                    nearest(name, target.labels[:20]),
                    code="unknown_label",
                )
            found[at] = positions[name]
        found_rows.append(found)
    return ragged(found_rows), np.array([not (row >= 0).any() for row in found_rows], dtype=bool)


def label_rows(table: Table, name: str, missing: Sequence[str]) -> Iterator[list[str | None]]:
    """The label names of each row's units; none for a missing cell, None for a unit without a label.

    Raises:
        DataError: A cell is no list, or an item of it no name.
    """
    column = table.column(name)
    for start in range(0, len(column), _SLICE):
        for at, cell in enumerate(column.slice(start, _SLICE).to_pylist(), start=start):
            yield _names(table, name, at, cell, missing)


def _names(table: Table, name: str, row: int, cell: Any, missing: Sequence[str]) -> list[str | None]:
    if cell is None or (isinstance(cell, str) and cell.strip() in missing):
        return []
    items = listed(cell)
    if items is None:
        raise DataError(
            f"{table.place(row)}: column {name!r} holds {cell!r:.60}, not a list of labels",
            'write a list, `["B-place", "O"]`, or the labels with spaces between them',
            code="not_labels",
        )
    return [_name(table, name, row, item) for item in items]


def _name(table: Table, name: str, row: int, item: Any) -> str | None:
    """A label as people write it; numbers too, as data sets with coded tags hold them."""
    if item is None or isinstance(item, str):
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        return str(item)
    raise DataError(
        f"{table.place(row)}: column {name!r} holds the label {item!r:.60} ({type(item).__name__})",
        "a label is a name or a whole number",
        code="not_labels",
    )


def paired_column(table: Table, target: str, inputs: Sequence[str]) -> str | None:
    """The input whose cells are lists of words, as many in every row as the target's list has labels.

    Only real lists and JSON lists are looked at: strings with spaces are sentences.

    Args:
        table: The data.
        target: The column of labels.
        inputs: Columns that could stand beside it.

    >>> table = Table(pa.table({"words": [["EU", "rejects"]], "tags": [["B", "O"]], "topics": [["politics"]]}))
    >>> paired_column(table, "tags", ["topics", "words"])
    'words'
    """
    sizes = list_sizes(table.column(target))
    if sizes is None or sizes.max(initial=0) < 2:
        return None
    fit = [name for name in inputs if _alike(sizes, list_sizes(table.column(name)))]
    return fit[0] if len(fit) == 1 else None


def list_sizes(column: pa.ChunkedArray) -> np.ndarray | None:
    """How many strings each cell lists, -1 for an empty cell, int64 `[N]`; None where a cell is no list of strings."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        if not (pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_integer(inner)):
            return None
        return np.asarray(pc.fill_null(pc.list_value_length(column), -1).combine_chunks()).astype(np.int64)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    sizes = []
    for cell in column.to_pylist():
        items = None if cell is None or not cell.lstrip().startswith("[") else listed(cell)
        if cell and (items is None or not all(item is None or isinstance(item, str | int) for item in items)):
            return None
        sizes.append(-1 if items is None else len(items))
    return np.array(sizes, np.int64)


def _alike(one: np.ndarray, other: np.ndarray | None) -> bool:
    """Of the rows that have both, all but one in twenty: these are told of and set aside."""
    if other is None:
        return False
    both = (one >= 0) & (other >= 0)
    return bool(both.any()) and float((one == other)[both].mean()) >= 0.95
