"""Rows whose labels do not fit their units: five words and six tags."""

from collections.abc import Mapping

import numpy as np

from underlay.core import is_ragged
from underlay.data import Table
from underlay.train import EncodedRows, dense_of


def unequal_rows(rows: EncodedRows, targets: Mapping[str, np.ndarray], table: Table) -> dict[int, str]:
    """The rows of a table whose input has another number of units than a dense target has labels, and what to say.

    Args:
        rows: All rows of the table, encoded.
        targets: By target; of the dense ones an array a row.
        table: Knows where a row stands.
    """
    dense = {name: values for name, values in targets.items() if is_ragged(values)}
    if not dense:
        return {}
    modality, (column, store) = dense_of(rows.modalities), next(iter(rows.columns.items()))
    found: dict[int, str] = {}
    for row in np.flatnonzero(store.lengths > 0).tolist():
        units = modality.count(store[row])
        for name, values in dense.items():
            if len(values[row]) and len(values[row]) != units:
                what = f"{table.place(row)}: {units} units in {column!r} and {len(values[row])} labels in {name!r}"
                found.setdefault(row, f"{what}; give one label a unit")
    return found
