"""Rows for training, validation and test, disjoint and complete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from underlay.core import DataError, UsageError, stream

Strategy = Literal["random", "stratified", "group", "time"]


@dataclass(frozen=True)
class Splits:
    """Sorted row numbers, int64; every row stands in exactly one of the three.

    Args:
        train: What is learned from.
        validation: What decides (early stopping, calibration).
        test: What is measured on, once.
        strategy: How they were drawn.
        notes: What a person should know.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    strategy: str = "random"
    notes: tuple[str, ...] = ()


def split(
    n: int,
    *,
    strategy: Strategy,
    labels: Sequence[Any] | np.ndarray | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    times: Sequence[Any] | np.ndarray | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Draw the three parts; the same arguments give the same rows on every machine.

    Args:
        n: Rows.
        strategy: `stratified` keeps each label's share (a label's first row goes to training, so a label
            with one row is never tested); `group` keeps the rows of one group together; `time` puts the
            latest rows into test, those before into validation; rows of one instant stay together.
        labels: Class index of each row, for `stratified`; negative ones (unlabelled) go to training.
        groups: For `group`; rows without one (None) are groups of their own.
        times: For `time`: numbers, dates, or texts that are all numbers or all ISO 8601 (UTC where no zone is named).
        validation: Share of all rows, 0 to 1.
        test: Share of all rows.
        seed: Of the run.

    >>> parts = split(10, strategy="stratified", labels=[0] * 5 + [1] * 5, validation=0.2, test=0.2, seed=0)
    >>> len(parts.train), len(parts.validation), len(parts.test)
    (6, 2, 2)

    Raises:
        UsageError: Shares out of range, or the strategy's column is missing.
        DataError: Nothing is left to train on.
    """
    _require_shares(validation, test)
    if strategy == "random":
        assignment = _random(n, validation, test, stream(seed, "split"))
    elif strategy == "stratified":
        assignment = _stratified(np.asarray(_given(labels, n, "labels", strategy)), validation, test, seed)
    elif strategy == "group":
        assignment = _grouped(_codes(_given(groups, n, "groups", strategy)), validation, test, seed)
    elif strategy == "time":
        assignment = _by_time(_given(times, n, "times", strategy), validation, test)
    else:
        raise UsageError(f"no split strategy {strategy!r}", "known: random, stratified, group, time")
    parts = [np.flatnonzero(assignment == part).astype(np.int64) for part in range(3)]
    if n and not len(parts[0]):
        raise DataError(f"of {n} rows none is left for training", "lower data.split.validation and data.split.test")
    train, validated, tested = parts
    return Splits(train, validated, tested, strategy, _notes(parts, validation, test))


def _require_shares(validation: float, test: float) -> None:
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise UsageError(
            f"validation {validation} and test {test} leave nothing for training", "they are shares: 0.1 and 0.1"
        )


def _given(values: Sequence[Any] | np.ndarray | None, n: int, name: str, strategy: str) -> Sequence[Any] | np.ndarray:
    if values is None:
        raise UsageError(f"a {strategy} split needs {name}", f"pass {name}=, one for each row")
    if len(values) != n:
        raise UsageError(f"{name} has {len(values)} values for {n} rows", "give one for each row")
    return values


def _random(n: int, validation: float, test: float, rng: np.random.Generator) -> np.ndarray:
    """0 train, 1 validation, 2 test for each row."""
    assignment = np.zeros(n, np.int8)
    order = rng.permutation(n)
    tested, validated = _counts(n, validation, test)
    assignment[order[:tested]] = 2
    assignment[order[tested : tested + validated]] = 1
    return assignment


def _counts(n: int, validation: float, test: float) -> tuple[int, int]:
    """Rows for test and validation: rounded, at least one of each where the share is above 0 and rows allow."""
    if n < 3:
        return 0, 0
    tested = max(1, round(n * test)) if test else 0
    validated = max(1, round(n * validation)) if validation else 0
    return tested, min(validated, n - 1 - tested)


def _stratified(labels: np.ndarray, validation: float, test: float, seed: int) -> np.ndarray:
    """Each label's rows are shuffled and dealt out; what rounding leaves over is drawn for the total to fit."""
    assignment = np.zeros(len(labels), np.int8)
    rng = stream(seed, "split")
    order = rng.permutation(len(labels))
    order = order[labels[order] >= 0]
    order = order[np.argsort(labels[order], kind="stable")]
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    tested, validated = _counts(len(order), validation, test)
    test_sizes = _shares(sizes, tested, np.maximum(sizes - 1, 0), rng)
    validation_sizes = _shares(sizes, validated, np.maximum(sizes - 1 - test_sizes, 0), rng)
    for start, for_test, for_validation in zip(starts, test_sizes, validation_sizes, strict=True):
        assignment[order[start : start + for_test]] = 2
        assignment[order[start + for_test : start + for_test + for_validation]] = 1
    return assignment


def _shares(sizes: np.ndarray, total: int, room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Divide `total` by `sizes`, largest remainder first, none above its room."""
    exact = sizes * (total / max(int(sizes.sum()), 1))
    given: np.ndarray = np.minimum(np.floor(exact).astype(np.int64), room)
    ties = rng.random(len(sizes))
    for position in np.lexsort((ties, given - exact)):
        if given.sum() >= total:
            break
        if given[position] < room[position]:
            given[position] += 1
    return given


def _codes(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """A number for each distinct group; every missing one is a group of its own."""
    numbers: dict[Any, int] = {}
    codes = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        key: Any = ("missing", row) if value is None or value != value else value
        codes[row] = numbers.setdefault(key, len(numbers))
    return codes


def _grouped(codes: np.ndarray, validation: float, test: float, seed: int) -> np.ndarray:
    """Groups in random order fill test, then validation, skipping those that would overfill by half their size."""
    sizes = np.bincount(codes)
    part = np.zeros(len(sizes), np.int8)
    wanted = dict(zip((2, 1), _counts(len(codes), validation, test), strict=True))
    filled = {2: 0, 1: 0}
    left = len(sizes)
    for group in stream(seed, "split").permutation(len(sizes)):
        for number in (2, 1):
            fits = filled[number] + sizes[group] / 2 <= wanted[number]
            if wanted[number] and left > 1 and (fits or (filled[number] == 0 and left > 2 and _small(sizes, group))):
                part[group] = number
                filled[number] += int(sizes[group])
                left -= 1
                break
    return np.asarray(part[codes], dtype=np.int8)


def _small(sizes: np.ndarray, group: int) -> bool:
    return bool(sizes[group] <= np.median(sizes))


def _by_time(times: Sequence[Any] | np.ndarray, validation: float, test: float) -> np.ndarray:
    """Rows of one instant stay together, in the earlier part: all of training is older than all that is tested."""
    distinct, ranks = np.unique(_instants(times), return_inverse=True)
    n = len(ranks)
    tested, validated = _counts(n, validation, test)
    below = np.searchsorted(np.sort(ranks), np.arange(len(distinct)))  # rows before each instant
    assignment = np.zeros(n, np.int8)
    assignment[below[ranks] >= n - tested - validated] = 1
    assignment[below[ranks] >= n - tested] = 2
    return assignment


def _instants(times: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Times as something that sorts: numbers, dates, or texts that are all numbers or all ISO 8601.

    Raises:
        DataError: One is missing, or the order of the texts would be a guess.
    """
    values = list(times)
    lost = [row for row, value in enumerate(values) if value is None or value != value or value == ""]
    if lost:
        raise DataError(
            f"{len(lost):,} rows have no time, the first is row {lost[0] + 1}", "fill them in, or split another way"
        )
    if not all(isinstance(value, str) for value in values):
        try:
            rank = {value: at for at, value in enumerate(sorted(set(values)))}
            return np.array([rank[value] for value in values], np.int64)
        except TypeError as error:
            raise DataError(f"the times do not sort: {error}", "write all of them the same way") from error
    for read in (float, _moment):
        try:
            return np.array([read(value) for value in values])
        except ValueError:
            continue
    raise DataError(
        f"the times are no dates that sort, as {values[0]!r}", "write them as 2026-01-31 or 2026-01-31T12:00"
    )


def _moment(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _notes(parts: Sequence[np.ndarray], validation: float, test: float) -> tuple[str, ...]:
    names = zip(("validation", "test"), (validation, test), parts[1:], strict=True)
    return tuple(f"no row is left for {name}" for name, share, rows in names if share > 0 and not len(rows))
