"""The values to learn from, as arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataError, Target, nearest
from underlay.data.table import Table, label_strings
from underlay.data.unit_labels import encode_unit_labels

UNLABELLED = -100
"""Class index of a row without a label; losses skip it."""

MISSING = ("", "nan", "NaN", "NAN", "<NA>", "#N/A", "N/A", "n/a", "NA", "null", "NULL")
"""Cells that mean "no label", unless the target declares one of them as a label."""

_SHOWN = 5


@dataclass(frozen=True)
class TargetValues:
    """One target of every row.

    Args:
        values: Class index int64 `[N]` (-100 without a label); float32 `[N, K]` of 0 and 1 for multilabel
            (-100 across a row without labels); float32 `[N]` for regression (NaN where missing).
        missing: Rows to set aside, bool `[N]`.
    """

    values: np.ndarray
    missing: np.ndarray


def encode_targets(table: Table, target: Target) -> TargetValues:
    """Give the target of every row as numbers, in the label order of the schema.

    Raises:
        DataError: A value is none of the labels, or no number; the message names the first places.
        MissingColumn: The table has no such column.

    >>> table = Table(pa.table({"label": ["10", "9", "", "9"]}))
    >>> encode_targets(table, Target("label", "binary", ("9", "10"))).values.tolist()
    [1, 0, -100, 0]
    """
    column = table.column(target.name)
    if target.task == "regression":
        return _numbers(table, target, column)
    if target.task == "multilabel":
        return _many(table, target, column)
    if target.task == "tagging":
        return TargetValues(*encode_unit_labels(table, target, MISSING))
    names = label_strings(column)
    found, known = _positions(names, target.labels)
    missing = ~known & _missing(names)
    _require_known(table, target, names, ~known & ~missing)
    return TargetValues(np.where(known, found, UNLABELLED), missing)


def missing_cells(column: pa.ChunkedArray) -> np.ndarray:
    """Which cells of a target column hold no value, bool `[N]`."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return np.asarray(column.is_null())
    return _missing(label_strings(column))


def _missing(names: pa.ChunkedArray) -> np.ndarray:
    blank = pc.is_in(pc.utf8_trim_whitespace(names), pa.array(MISSING))
    return np.asarray(pc.or_(blank, pc.is_null(names)).combine_chunks(), dtype=bool)


def _positions(names: pa.ChunkedArray, labels: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    found = pc.index_in(names, pa.array(labels, pa.string()))
    known = np.asarray(pc.is_valid(found).combine_chunks(), dtype=bool)
    return np.asarray(pc.fill_null(found, UNLABELLED).combine_chunks()).astype(np.int64), known


def _require_known(table: Table, target: Target, names: pa.ChunkedArray, unknown: np.ndarray) -> None:
    rows = np.flatnonzero(unknown)
    if not len(rows):
        return
    first = names[int(rows[0])].as_py()
    raise DataError(
        f"{places(table, rows)}: column {target.name!r} holds {first!r}, none of the {len(target.labels)} labels",
        nearest(first, target.labels[:20]),
        code="unknown_label",
    )


def places(table: Table, rows: np.ndarray) -> str:
    """Name the first rows and how many more: `reviews.csv, line 3 (and 12 more)`."""
    more = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    return f"{table.place(int(rows[0]))}{more}"


def _numbers(table: Table, target: Target, column: pa.ChunkedArray) -> TargetValues:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    else:
        values = _parsed(table, target, label_strings(column))
    missing = ~np.isfinite(values)
    return TargetValues(np.where(missing, np.nan, values).astype(np.float32), missing)


def _parsed(table: Table, target: Target, names: pa.ChunkedArray) -> np.ndarray:
    missing = _missing(names)
    distinct = pc.unique(names)
    numbers = np.array([number(value) if value is not None else None for value in distinct.to_pylist()], dtype=object)
    codes = np.asarray(pc.index_in(names, distinct).combine_chunks())
    bad = np.array([value is None for value in numbers], dtype=bool)[codes] & ~missing
    if bad.any():
        rows = np.flatnonzero(bad)
        raise DataError(
            f"{places(table, rows)}: column {target.name!r} holds {names[int(rows[0])].as_py()!r}, not a number",
            "correct it, or empty the cell to set the row aside",
            code="not_a_number",
        )
    parsed = np.array([np.nan if value is None else value for value in numbers], dtype=np.float64)
    return np.asarray(parsed[codes])


def number(text: str) -> float | None:
    """The number a cell holds, or None; `1,5` and `1_000` are none.

    >>> number(" 1e3 "), number("1_000")
    (1000.0, None)
    """
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _many(table: Table, target: Target, column: pa.ChunkedArray) -> TargetValues:
    cells = label_lists(column, target.separator)
    missing = np.asarray(pc.is_null(cells).combine_chunks(), dtype=bool)
    values = np.where(missing, np.float32(UNLABELLED), np.float32(0))[:, None].repeat(len(target.labels), axis=1)
    start = 0
    for chunk in cells.chunks:
        names = pc.list_flatten(chunk)
        rows = np.asarray(pc.list_parent_indices(chunk)).astype(np.int64) + start
        found, known = _positions(pa.chunked_array([names]), target.labels)
        if not known.all():
            unknown = np.zeros(len(cells), dtype=bool)
            unknown[rows[~known]] = True
            first = pa.chunked_array([names.filter(pa.array(~known)).take(pa.array([0] * len(cells)))])
            _require_known(table, target, first, unknown)
        values[rows, found] = 1
        start += len(chunk)
    return TargetValues(values, missing)


def label_lists(column: pa.ChunkedArray, separator: str) -> pa.ChunkedArray:
    """The labels of each cell, trimmed and without empty ones; null where the cell is missing.

    >>> label_lists(pa.chunked_array([["a| b", "", "[]"]]), "|").to_pylist()
    [['a', 'b'], None, []]
    """
    return pa.chunked_array([_lists(chunk, separator) for chunk in column.chunks], pa.list_(pa.string()))


def _lists(chunk: pa.Array, separator: str) -> pa.Array:
    if pa.types.is_list(chunk.type) or pa.types.is_large_list(chunk.type):
        cells = chunk.to_pylist()
    else:
        missing = _missing(pa.chunked_array([chunk.cast(pa.string())]))
        texts = chunk.cast(pa.string()).to_pylist()
        cells = [None if gone else _parts(text, separator) for text, gone in zip(texts, missing, strict=True)]
    names = [None if cell is None else [str(name) for name in cell if name is not None] for cell in cells]
    return pa.array(names, pa.list_(pa.string()))


def _parts(text: str, separator: str) -> list[str]:
    if text.strip() == "[]":  # the one way to write "none of the labels" in a CSV cell
        return []
    return [part.strip() for part in text.split(separator) if part.strip()]
