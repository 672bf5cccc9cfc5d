"""Tables that already are in memory: Arrow, pandas, polars, `datasets`, and lists of values and labels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from underlay.core import DataError, UsageError
from underlay.data.columnar import plain
from underlay.data.table import Table, content_digest


def table_from_memory(source: Any) -> Table:
    """Give the table of a frame, a mapping of columns, a list of row mappings, or a pair `(X, y)`.

    In `(X, y)`, X is a list of texts (column `text`), of series (column `series`: lists or arrays of numbers, or one
    array `[rows, channels, time]`), of row mappings, or a frame; y becomes `label`.

    Raises:
        UsageError: It is none of these.
        DataError: X and y have different lengths, or a column cannot be one.

    >>> table_from_memory((["good", "bad"], [1, 0])).columns
    ('text', 'label')
    """
    arrow = _pair(*source) if isinstance(source, tuple) and len(source) == 2 else _arrow(source)
    arrow = plain(arrow)
    return Table(arrow, name="memory", digest=content_digest(arrow))


def _arrow(source: Any) -> pa.Table:
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if isinstance(source, Mapping):
        return _from_columns(source)
    if isinstance(source, list) and source and all(isinstance(row, Mapping) for row in source):
        names = dict.fromkeys(name for row in source for name in row)
        return _from_columns({name: [row.get(name) for row in source] for name in names})
    if hasattr(source, "with_format") and hasattr(source, "features"):  # datasets.Dataset
        return source.with_format("arrow")[:]
    return _from_frame(source)


def _from_frame(source: Any) -> pa.Table:
    import narwhals as nw

    try:
        frame = nw.from_native(source)
    except TypeError as error:
        raise UsageError(
            f"{type(source).__name__} {source!r:.60} is no data set",
            "pass a path, a pandas, polars, Arrow or datasets table, or (X, y) lists",
        ) from error
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return _from_columns(
        {str(name): column.to_list() for name, column in zip(frame.columns, frame.iter_columns(), strict=True)}
    )


def _from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    arrays = {str(name): _array(str(name), values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns have different lengths: {lengths}", "give one value for each row")
    return pa.table(arrays)


def _array(name: str, values: Any) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if not isinstance(values, Iterable):
        raise DataError(f"column {name!r} is {values!r}", "give a list with one value for each row")
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    listed = [value.tolist() if isinstance(value, np.ndarray) else value for value in listed]
    try:
        return pa.array(listed, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        try:
            return pa.array([None if value is None or value != value else str(value) for value in listed], pa.string())
        except (TypeError, ValueError, UnicodeEncodeError) as error:
            raise DataError(f"column {name!r} cannot be read: {error}", "give each cell text or a number") from error


def _pair(values: Any, labels: Any) -> pa.Table:
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim == 3 and values.dtype.kind in "iuf":
        values = list(values)  # [rows, channels, time]
    if isinstance(values, np.ndarray) and (values.ndim != 1 or values.dtype.kind not in "OUST"):
        raise UsageError(
            f"X is an array of shape {values.shape} and type {values.dtype}",
            "pass a list of texts, a list of series, an array [rows, channels, time], or a table with named columns",
        )
    texts = isinstance(values, np.ndarray) or (isinstance(values, Sequence) and not _holds_rows(values))
    inputs = _one_column(values) if texts or _is_series(values) else _arrow(values)
    outputs = _array("label", labels)
    if len(outputs) != inputs.num_rows:
        raise DataError(f"X has {inputs.num_rows:,} values and y has {len(outputs):,}", "give one label for each value")
    if "label" in inputs.column_names:
        raise UsageError("X has a column 'label' already", "pass the table alone and name the target")
    return inputs.append_column("label", outputs)


def _one_column(values: Any) -> pa.Table:
    """`text`, or `series` where the cells are lists of numbers."""
    cells = _array("text", values)
    listed = pa.types.is_list(cells.type) and not pa.types.is_string(cells.type.value_type)
    return pa.table({"series" if listed else "text": cells})


def _holds_rows(values: Sequence[Any]) -> bool:
    return len(values) > 0 and isinstance(values[0], Mapping)


def _is_series(values: Any) -> bool:
    """One column of pandas or polars, not a frame."""
    return hasattr(values, "to_list") and not hasattr(values, "columns")
