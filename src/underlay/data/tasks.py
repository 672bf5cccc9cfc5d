"""Which task a target column sets, and its labels in their fixed order."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataError, LabelMap, Target, UsageError
from underlay.data.table import Table, label_strings
from underlay.data.targets import MISSING, label_lists, number
from underlay.data.unit_labels import label_rows

MOST_LABELS = 10_000
_SEPARATORS = ("|", ";", ",")
_FEW_NUMBERS = 20  # whole numbers with up to this many distinct values are taken for classes


def infer_target(table: Table, name: str, *, task: str | None = None) -> Target:
    """Give the target of column `name` with its labels.

    Raises:
        DataError: No cell holds a value, there is one label, there are more than 10 000, or a number is text.
        UsageError: The column could be labels or quantities; the message says how to choose.
    """
    column = table.column(name)
    if task == "tagging":
        return _tagging(table, name)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _multilabel(table, name, label_lists(column, "|"), "|")
    counts = label_counts(column)
    if not counts:
        raise DataError(f"no cell of the target {name!r} in {table.name} holds a value", "label some rows")
    if task == "multilabel" or (task is None and _looks_multilabel(counts)):
        separator = _separator(counts)
        return _multilabel(table, name, label_lists(column, separator), separator)
    if task == "regression" or (task is None and _is_quantity(name, counts, column.type)):
        return Target(name, "regression")
    _require_classes(table, name, counts)
    labels = LabelMap.from_values(counts).names
    return Target(name, "binary" if len(labels) == 2 else "multiclass", labels)


def _tagging(table: Table, name: str) -> Target:
    counts = unit_counts(table, name)
    if not counts:
        raise DataError(f"no cell of the target {name!r} in {table.name} holds a label", "label some rows")
    _require_classes(table, name, counts)
    return Target(name, "tagging", LabelMap.from_values(counts).names)


def unit_counts(table: Table, name: str) -> Counter[str]:
    """How many units carry each label of a column of lists."""
    counted: Counter[str] = Counter()
    for names in label_rows(table, name, MISSING):
        counted.update(label for label in names if label is not None)
    return counted


def label_counts(column: pa.ChunkedArray) -> Counter[str]:
    """How many rows hold each value; missing ones are left out.

    >>> label_counts(pa.chunked_array([["a", "b", "", "a"]]))
    Counter({'a': 2, 'b': 1})
    """
    counted = pc.value_counts(label_strings(column))
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return Counter({name: count for name, count in pairs if name is not None and name.strip() not in MISSING})


def describe_target(table: Table, target: Target) -> str:
    """One line on a target, its task and its labels."""
    if target.task == "regression":
        return f"target: {target.name!r}, a number (regression)"
    kind = f"{len(target.labels)} labels ({target.task})"
    if target.task == "multilabel":
        return f"target: {target.name!r}, {kind}, separated by {target.separator!r}: {_listed(target.labels)}"
    counts = unit_counts(table, target.name) if target.by_unit else label_counts(table.column(target.name))
    shown = [f"{name} {counts[name]:,}" for name in target.labels]
    return f"target: {target.name!r}, {kind}: {_listed(shown)}"


def _listed(names: tuple[str, ...] | list[str], most: int = 8) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _require_classes(table: Table, name: str, counts: Counter[str]) -> None:
    if len(counts) == 1:
        raise DataError(
            f"the target {name!r} of {table.name} has one label only, {next(iter(counts))!r}",
            "a classifier needs two; add rows of another label or name another column",
            code="one_label",
        )
    if len(counts) > MOST_LABELS:
        raise DataError(
            f"the target {name!r} of {table.name} has {len(counts):,} labels; at most {MOST_LABELS:,} are possible",
            "name another column, or pass --set data.task=regression if it is a quantity",
            code="too_many_labels",
        )


def _looks_multilabel(counts: Counter[str]) -> bool:
    """Only `|` is taken for a separator without being told: commas and semicolons stand in names and sentences."""
    cells = [name for name in counts if "|" in name]
    parts = {part.strip() for name in counts for part in name.split("|")}
    return len(cells) >= 1 and len(parts) < len(counts) + len(cells)


def _separator(counts: Counter[str]) -> str:
    return next((sign for sign in _SEPARATORS if any(sign in name for name in counts)), "|")


def _multilabel(table: Table, name: str, cells: pa.ChunkedArray, separator: str) -> Target:
    distinct = pc.unique(pc.list_flatten(cells)).to_pylist()
    if not distinct:
        raise DataError(f"no cell of the target {name!r} in {table.name} holds a label", "label some rows")
    if len(distinct) > MOST_LABELS:
        _require_classes(table, name, Counter(distinct))
    return Target(name, "multilabel", LabelMap.from_values(distinct).names, separator)


def _is_quantity(name: str, counts: Counter[str], kind: pa.DataType) -> bool:
    """Whether the column holds quantities; asks where numbers could be either.

    Raises:
        UsageError: Many whole numbers, or few broken ones.
    """
    numbers = [number(value) for value in counts]
    if pa.types.is_boolean(kind) or any(value is None for value in numbers):
        return False
    finite = [value for value in numbers if value is not None and abs(value) != float("inf")]
    whole = all(value.is_integer() for value in finite)
    if whole and (len(counts) <= _FEW_NUMBERS or _are_codes(finite, counts)):
        return False
    if not whole and len(counts) > _FEW_NUMBERS:
        return True
    raise UsageError(
        f"the target {name!r} holds {len(counts)} different numbers, which could be labels or quantities",
        "pass --set data.task=multiclass or --set data.task=regression",
        code="ambiguous_task",
    )


def _are_codes(values: list[float], counts: Counter[str]) -> bool:
    """Whether the numbers are 0 … K-1 or 1 … K, each repeated, as class codes are."""
    first = min(values)
    without_gaps = first in (0, 1) and max(values) - first == len(values) - 1
    return without_gaps and sum(counts.values()) >= 2 * len(counts)
