"""Rows to compare two models on: synthetic ones of unequal length, and some that a person gave."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from underlay.bundle import Bundle
from underlay.core import Encoded, Modality, RowError, RowProblem, UsageError, stream

PROBES = 48
"""Synthetic rows; every second one cut to half, so that lengths differ even where all data is of one length."""

GIVEN = 256
"""Rows of given data at most."""

ATTEMPTS = 4
"""Times as many probes as are wanted, before it is said that they cannot be used."""

Row = dict[str, Encoded]


def probes(bundle: Bundle, *, count: int = PROBES, seed: int = 0) -> list[dict[str, Any]]:
    """Raw synthetic rows that the bundle can read.

    Args:
        bundle: Fitted modalities.
        count: How many.
        seed: Of the probes.

    Raises:
        UsageError: Its modalities cannot read what they made.
    """
    rng = stream(seed, "export")
    found: list[dict[str, Any]] = []
    for attempt in range(ATTEMPTS * count):
        values = {name: modality.probe(rng) for name, modality in bundle.modalities.items()}
        if attempt % 2:
            values = {name: _cut(bundle.modalities[name], value) for name, value in values.items()}
        if _readable(bundle, values):
            found.append(values)
        if len(found) == count:
            return found
    raise UsageError(f"only {len(found)} of {ATTEMPTS * count} synthetic rows can be read", "report this")


def given_rows(bundle: Bundle, columns: Mapping[str, Sequence[Any]], *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of given data that can be read, `GIVEN` at most, drawn by the seed.

    Args:
        bundle: Fitted modalities.
        columns: Raw values by column.
        seed: Of the draw.

    Raises:
        UsageError: None can be read.
    """
    names = [column.name for column in bundle.schema.columns]
    count = len(columns[names[0]])
    drawn = np.sort(stream(seed, "export data").permutation(count)[:GIVEN])
    rows = [{name: columns[name][row] for name in names} for row in drawn]
    found = [row for row in rows if _readable(bundle, row)]
    if not found:
        raise UsageError(f"none of {len(rows)} rows can be read by this bundle", "is this the right file?")
    return found


def encoded(bundle: Bundle, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Arrays by column of rows that can be read."""
    return [{name: modality.encode(row[name]) for name, modality in bundle.modalities.items()} for row in rows]


def mixed(bundle: Bundle, rows: Sequence[Row], *, size: int) -> list[list[int]]:
    """Row numbers in batches of about `size`, each with short and long rows: most of a batch is padding.

    Args:
        bundle: Knows how long a row is.
        rows: Encoded.
        size: Rows of a batch.
    """
    lengths = [sum(bundle.modalities[name].length(arrays) for name, arrays in row.items()) for row in rows]
    order = np.argsort(lengths, kind="stable")
    count = -(-len(rows) // size)
    return [[int(row) for row in order[first::count]] for first in range(count)]


def collated(bundle: Bundle, rows: Sequence[Row]) -> dict[str, Mapping[str, np.ndarray]]:
    """One batch of these rows."""
    return {name: modality.collate([row[name] for row in rows]) for name, modality in bundle.modalities.items()}


def _cut(modality: Modality, value: Any) -> Any:
    parts = modality.parts(value)
    return modality.without(value, parts[-(-len(parts) // 2) :]) if len(parts) > 1 else value


def _readable(bundle: Bundle, row: Mapping[str, Any]) -> bool:
    try:
        found = [modality.encode_many([row[name]])[0] for name, modality in bundle.modalities.items()]
    except RowError:
        return False
    return not any(isinstance(one, RowProblem) for one in found)
