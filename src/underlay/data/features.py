"""What scikit-learn calls X, as named columns and how each is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from underlay.data.opening import open_table
from underlay.data.profile import profile
from underlay.data.table import Table

CELLS = "table"
"""How a column is read that looks like nothing else."""


def is_sparse(values: Any) -> bool:
    """Whether X is one of SciPy's sparse matrices or arrays."""
    return hasattr(values, "tocsr")


def is_frame(values: Any) -> bool:
    """Whether X has columns with names: pandas, polars, Arrow."""
    return hasattr(values, "column_names") or (hasattr(values, "columns") and not isinstance(values, Mapping))


def is_one_column_of_texts(values: Any) -> bool:
    """Whether X is a list or a single column, and so is read as texts.

    >>> [is_one_column_of_texts(values) for values in (["a"], np.array([["a"]]), np.zeros((1, 1)), [[1.0, 2.0]])]
    [True, True, False, False]
    """
    if is_frame(values):
        return len(values.columns) == 1 and all(isinstance(cell, str) for cell in _first_cells(values))
    if hasattr(values, "to_pylist") or hasattr(values, "to_list") or isinstance(values, str):
        return True
    array = np.asarray(values, dtype=object)
    if array.ndim != 2 or array.shape[1] != 1:
        return array.ndim == 1
    return any(isinstance(cell, str) for cell in array[:, 0])


def holds_words(values: Any) -> bool:
    """Whether any cell of X is a string or a date, so that it is no matrix of numbers.

    >>> holds_words(np.array([[1, "a"]], dtype=object)), holds_words(np.array([[1.0, 2.0]]))
    (True, False)
    """
    if is_frame(values):
        import narwhals as nw

        kinds = nw.from_native(values).schema.values()
        return not all(kind.is_numeric() or kind == nw.Boolean for kind in kinds)
    array = np.asarray(values)
    return array.dtype.kind in "USTMm" or (
        array.dtype.kind == "O" and any(isinstance(cell, str | bytes) for cell in array.ravel())
    )


def columns_of(values: Any, *, names: list[str] | None = None) -> Table:
    """X as a table; the columns of an array are called x0, x1, ...

    Args:
        values: A frame or an array `[N, F]`.
        names: Of the columns of an array.

    >>> columns_of(np.array([[1, "a"], [2, "b"]], dtype=object)).values("x1")
    ['a', 'b']
    """
    if is_frame(values):
        return open_table(values)
    array = np.asarray(values)
    called = names or [f"x{place}" for place in range(array.shape[1])]
    return open_table({name: array[:, place].tolist() for place, name in enumerate(called)})


def kinds_of(table: Table) -> dict[str, str]:
    """How each column is read: what it looks like, else numbers or categories; empty ones are left out.

    >>> kinds_of(open_table({"price": [1.5, 2.0], "note": ["not a bad film at all", "we left before the end"]}))
    {'price': 'table', 'note': 'text'}
    """
    found = {name: profile(table, name) for name in table.columns}
    return {name: one.modality or CELLS for name, one in found.items() if not one.empty}


def _first_cells(values: Any) -> list[Any]:
    table = open_table(values)
    return [cell for cell in table.values(table.columns[0], range(min(len(table), 100))) if cell is not None]
