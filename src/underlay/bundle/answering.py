"""Raw rows -> logits: encoded, batched by length under a budget, and put back in order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from underlay.bundle.backends import Backend
from underlay.core import (
    DenseModality,
    Encoded,
    Modality,
    RowProblem,
    Target,
    UsageError,
    encode_within,
    ragged,
    rows_within,
)

CHUNK = 8_192
"""Rows encoded at a time at most, so that a long file needs no more memory than a short one."""

FIRST_CHUNK = 256
"""Rows that tell how many bytes one takes."""

CHUNK_BYTES = 64 << 20
"""Encoded values held at a time, and raw ones: a picture takes a hundred times what a text does."""

BATCH_POSITIONS = 8_192
"""Padded positions of a batch: enough to keep two cores busy, few enough to stay in cache."""

PADDED_POSITIONS = 512
"""The same where padding is computed on: the widest values within a layer of the default trunk, 3 MB, stay in the cache
of a core, and less is padding. Against 8,192: a fifth more rows a second in fp32, half as many again in eight bits."""

BATCH_ROWS = 256

SPREAD = 1.25
"""How much longer than the shortest row of a batch the longest may be, where padding is computed on."""

Progress = Callable[[int, int], None]


def count_rows(rows: Mapping[str, Sequence[Any]], columns: Sequence[str]) -> int:
    """How many rows the columns have.

    Raises:
        UsageError: Columns are missing, or of different lengths.
    """
    missing = [column for column in columns if column not in rows]
    if missing:
        raise UsageError(
            f"the model reads the columns {list(columns)}; {missing} are missing", f"there is {list(rows)}"
        )
    counts = {column: len(rows[column]) for column in columns}
    if len(set(counts.values())) > 1:
        raise UsageError(f"the columns differ in length: {counts}", "give one value a row and column")
    return next(iter(counts.values()), 0)


def run_rows(
    rows: Mapping[str, Sequence[Any]],
    modalities: Mapping[str, Modality],
    backend: Backend,
    targets: Sequence[Target],
    *,
    progress: Progress = lambda done, total: None,
) -> tuple[dict[str, np.ndarray], dict[int, RowProblem]]:
    """Logits by target, NaN where a row cannot be used, and why it cannot.

    `[N, K]`; where an answer is one label a unit N arrays `[U, K]`, NaN at units that were cut, empty for a row that
    cannot be used. Of another dense target what is said at the last unit.

    Args:
        rows: Raw values by column.
        modalities: By column.
        backend: What computes.
        targets: What is answered.
        progress: Called with (rows done, of all) after each batch.
    """
    count = count_rows(rows, list(modalities))
    logits = {target.name: _nothing(target, count) for target in targets}
    problems: dict[int, RowProblem] = {}
    done, first, size = 0, 0, FIRST_CHUNK
    while first < count:
        read = encode_rows(rows, modalities, range(first, min(first + size, count)))
        usable, encoded, found = _parted(read, first)
        problems |= found
        first += size
        size = _rows_within(encoded)
        for answered in _fill(logits, usable, encoded, modalities, backend, targets):
            done += answered
            progress(done, count - len(problems))
    return logits, problems


def run_encoded(
    rows: Sequence[Mapping[str, Encoded] | RowProblem],
    modalities: Mapping[str, Modality],
    backend: Backend,
    targets: Sequence[Target],
) -> tuple[dict[str, np.ndarray], dict[int, RowProblem]]:
    """What `run_rows` gives, for rows that `encode_rows` has read already.

    Args:
        rows: By column each; a problem stands where a row cannot be used.
        modalities: By column.
        backend: What computes.
        targets: What is answered.
    """
    logits = {target.name: _nothing(target, len(rows)) for target in targets}
    usable, encoded, problems = _parted(rows, 0)
    for _ in _fill(logits, usable, encoded, modalities, backend, targets):
        pass
    return logits, problems


def _parted(
    read: Sequence[Mapping[str, Encoded] | RowProblem], first: int
) -> tuple[list[int], list[Mapping[str, Encoded]], dict[int, RowProblem]]:
    """The usable row numbers counted from `first`, their arrays by column, and the problems of the others."""
    usable, encoded, problems = [], [], {}
    for number, row in enumerate(read, first):
        if isinstance(row, RowProblem):
            problems[number] = row
        else:
            usable.append(number)
            encoded.append(row)
    return usable, encoded, problems


def _fill(
    logits: Mapping[str, np.ndarray],
    places: Sequence[int],
    encoded: Sequence[Mapping[str, Encoded]],
    modalities: Mapping[str, Modality],
    backend: Backend,
    targets: Sequence[Target],
) -> Iterator[int]:
    """Put the logits of usable rows at their places, batch by batch; gives how many rows each had."""
    lengths = np.array([row_length(row, modalities) for row in encoded], dtype=np.int64)
    padded = getattr(backend, "padded", False)
    most, spread = (PADDED_POSITIONS, SPREAD) if padded else (BATCH_POSITIONS, None)

    def answered(batch: Sequence[int]) -> Mapping[str, np.ndarray]:
        return backend.run(
            {column: modality.collate([encoded[i][column] for i in batch]) for column, modality in modalities.items()}
        )

    planned = list(batches(lengths, most=most, spread=spread))
    for batch, answers in zip(planned, _side_by_side(answered, planned, getattr(backend, "at_once", 1)), strict=True):
        for target in targets:
            values, filled = answers[target.name], [places[i] for i in batch]
            if not target.dense:
                logits[target.name][filled] = values
                continue
            for place, row, value in zip(filled, [encoded[i] for i in batch], values, strict=True):
                logits[target.name][place] = _at_units(target, value, row, modalities)
        yield len(batch)


def _side_by_side(
    answered: Callable[[Sequence[int]], Mapping[str, np.ndarray]], planned: Sequence[Sequence[int]], at_once: int
) -> Iterator[Mapping[str, np.ndarray]]:
    """What batches are answered, in their order; `at_once` of them are worked on together."""
    if at_once == 1 or len(planned) < 2:
        yield from map(answered, planned)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="answers")
    try:
        yield from pool.map(answered, planned)
    finally:
        pool.shutdown(cancel_futures=True)


def _nothing(target: Target, rows: int) -> np.ndarray:
    if target.by_unit:
        return ragged([np.zeros((0, target.outputs), np.float32)] * rows)
    return np.full((rows, target.outputs), np.nan, dtype=np.float32)


def _at_units(
    target: Target, values: np.ndarray, row: Mapping[str, Encoded], modalities: Mapping[str, Modality]
) -> np.ndarray:
    """What is said of one row `[L, K]`, by unit `[U, K]`, or at its last unit `[K]`.

    Raises:
        UsageError: The row's only value has no units.
    """
    (column, encoded), *others = row.items()
    modality: Any = modalities[column]
    if others or not isinstance(modality, DenseModality):
        raise UsageError(f"a label a unit is asked of the columns {list(row)}", "give one column that has units")
    units = modality.units(encoded)
    places = np.flatnonzero(units >= 0)
    if not target.by_unit:
        return np.asarray(values[places[-1]]) if len(places) else np.full(target.outputs, np.nan, np.float32)
    found = np.full((modality.count(encoded), target.outputs), np.nan, np.float32)
    found[units[places]] = values[places]
    return found


def batches(lengths: np.ndarray, *, most: int = BATCH_POSITIONS, spread: float | None = None) -> Iterator[list[int]]:
    """Row numbers in batches of like length, each within `most` padded positions, or one row.

    Args:
        lengths: Of the rows.
        most: Padded positions of a batch.
        spread: The longest row of a batch is at most this much longer than the shortest; None: by any.

    >>> [len(batch) for batch in batches(np.array([5000, 3, 4000, 3000]))]
    [2, 1, 1]
    >>> list(batches(np.array([8, 3, 9, 3]), spread=1.25))
    [[1, 3], [0, 2]]
    """
    batch: list[int] = []
    for row in np.argsort(lengths, kind="stable"):
        # Sorted upwards, the newest row is the longest.
        full = len(batch) >= BATCH_ROWS or (len(batch) + 1) * lengths[row] > most
        if batch and (full or (spread is not None and lengths[row] > spread * lengths[batch[0]])):
            yield batch
            batch = []
        batch.append(int(row))
    if batch:
        yield batch


def encode_rows(
    rows: Mapping[str, Sequence[Any]], modalities: Mapping[str, Modality], numbers: range
) -> list[dict[str, Encoded] | RowProblem]:
    """The arrays of these rows by column; the problem of one that cannot be used.

    Args:
        rows: Raw values by column.
        modalities: By column.
        numbers: Of the rows.
    """
    by_column = {
        column: encode_within(modality, (rows[column][i] for i in numbers), budget=CHUNK_BYTES)
        for column, modality in modalities.items()
    }
    return [_row({column: values[at] for column, values in by_column.items()}) for at in range(len(numbers))]


def _row(values: Mapping[str, Encoded | RowProblem]) -> dict[str, Encoded] | RowProblem:
    """One row, or its first problem, which names the column where there are several."""
    row: dict[str, Encoded] = {}
    for column, value in values.items():
        if isinstance(value, RowProblem):
            message = value.message if len(values) == 1 else f"column {column!r}: {value.message}"
            return RowProblem(value.code, message)
        row[column] = value
    return row


def _rows_within(encoded: Sequence[Mapping[str, Encoded]]) -> int:
    """How many rows like these fit into `CHUNK_BYTES`, at most `CHUNK`."""
    held = sum(array.nbytes for row in encoded for arrays in row.values() for array in arrays.values())
    return rows_within(CHUNK_BYTES, rows=len(encoded), taken=held, most=CHUNK)


def row_length(row: Mapping[str, Encoded], modalities: Mapping[str, Modality]) -> int:
    """Positions of a row over all its columns, >= 1.

    Args:
        row: Its arrays by column.
        modalities: By column.
    """
    return sum(modality.length(row[column]) for column, modality in modalities.items())
