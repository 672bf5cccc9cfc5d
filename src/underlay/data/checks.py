"""What a careful colleague would ask about a data set before training on it."""

from collections.abc import Mapping

import numpy as np

from underlay.core import Schema, Target
from underlay.data.cell_checks import empty_cells, odd_cells, truncated
from underlay.data.comparison import compare
from underlay.data.duplicates import Fingerprint
from underlay.data.findings import Checks, Finding, several
from underlay.data.label_checks import frequencies, spellings
from underlay.data.splits import Splits
from underlay.data.table import Table
from underlay.data.targets import TargetValues, encode_targets
from underlay.data.tasks import label_counts
from underlay.data.value_checks import Inspection, value_findings

_SHOWN = 5
_ORDER = {"error": 0, "warning": 1, "info": 2}


def check(
    table: Table,
    schema: Schema,
    *,
    test: Table | None = None,
    splits: Splits | None = None,
    fingerprint: Mapping[str, Fingerprint] | None = None,
    lengths: np.ndarray | None = None,
    limit: int | None = None,
    read: np.ndarray | None = None,
    inspected: Mapping[str, Inspection] | None = None,
) -> Checks:
    """Give everything that is worth knowing about the rows.

    Args:
        table: The data (the training part, where `test` is given).
        schema: What its columns mean.
        test: A separate test set, compared with `table`.
        splits: Parts of `table`; its test part is compared with the rest.
        fingerprint: By input column, from the modality; without it rows are not compared.
        lengths: Positions each row takes in the model.
        limit: The most it reads.
        read: Which rows the model can read, `[N]`; None: those that hold anything.
        inspected: By input column, what its modality says of the values.

    Raises:
        DataError: A target cell is none of the labels, or no number.
    """
    found: list[Finding] = []
    usable, targets = _set_aside(table, schema, found, read)
    for column in schema.columns:
        found += odd_cells(table, column.name)
        if inspected and column.name in inspected:
            found += value_findings(table, column.name, inspected[column.name])
    for target in schema.targets:
        found += _label_findings(table, target, targets[target.name].values)
    if lengths is not None and limit is not None:
        found += truncated(table, lengths, limit)
    leaked, first = np.zeros(0, np.int64), np.arange(len(table))
    if fingerprint:
        compared = compare(table, schema, fingerprint=fingerprint, test=test)
        first[: compared.train_rows] = compared.first[: compared.train_rows]
        found += compared.within({name: values.values for name, values in targets.items()})
        leaked, leaks = compared.leaked(splits)
        found += leaks
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Checks(tuple(found), usable, leaked, first)


def _set_aside(
    table: Table, schema: Schema, found: list[Finding], read: np.ndarray | None
) -> tuple[np.ndarray, dict[str, TargetValues]]:
    """Rows without any input or without any target, counted; the others are usable."""
    empty = np.logical_and.reduce([empty_cells(table.column(column.name)) for column in schema.columns])
    if read is not None:  # to some modalities an empty cell says something
        empty &= ~read
    targets = {target.name: encode_targets(table, target) for target in schema.targets}
    unlabelled = np.logical_and.reduce([values.missing for values in targets.values()])
    names = " and ".join(repr(column.name) for column in schema.columns)
    found += _counted(table, empty, "empty_input", f"with nothing in {names}")
    wanted = " and ".join(repr(target.name) for target in schema.targets)
    found += _counted(table, unlabelled, "missing_target", f"without a usable {wanted}")
    return ~(empty | unlabelled), targets


def _counted(table: Table, mask: np.ndarray, code: str, said: str) -> list[Finding]:
    rows = np.flatnonzero(mask)
    if not len(rows):
        return []
    most = 2 * len(rows) > len(table)
    aside = "which is more than half of them: is it the right column?" if most else "set aside"
    message = f"{several(len(rows), 'row')} {said}, {aside}"
    return [Finding(code, "error" if most else "warning", len(rows), message, _places(table, rows))]


def _label_findings(table: Table, target: Target, values: np.ndarray) -> list[Finding]:
    if target.task not in ("binary", "multiclass"):
        return []
    counts = label_counts(table.column(target.name))
    return spellings(target, counts) + frequencies(table, target, values)


def _places(table: Table, rows: np.ndarray) -> tuple[str, ...]:
    return tuple(table.place(int(row)) for row in rows[:_SHOWN])
