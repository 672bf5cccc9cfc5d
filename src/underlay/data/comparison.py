"""The rows of a data set compared with one another, and training rows with test rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from underlay.core import Schema, rows_within
from underlay.data.duplicates import Fingerprint, first_equals, joined, near_pairs, prints, row_fingerprint
from underlay.data.findings import Finding, several
from underlay.data.label_checks import contradictions
from underlay.data.splits import Splits
from underlay.data.table import Table

COMPARED_ROWS = 200_000
"""Rows beyond are not compared with one another; the check says so."""

_SHOWN = 5
_BLOCK, _BLOCK_BYTES = 4096, 32 << 20
"""Raw values held at a time: few of them, where cells are pictures or recordings."""


@dataclass(frozen=True)
class Compared:
    """The first rows of a table, then those of a test set, by their fingerprints.

    Args:
        table: The data.
        schema: What its columns mean.
        test: A separate test set.
        train_rows: Rows of `table` that were compared.
        exact: Equal where rows are, 0 for empty ones, uint64 `[R]`.
        first: The first row equal to each row, int64 `[R]`.
        near: Pairs of first rows that are nearly the same, int64 `[P, 2]`.
    """

    table: Table
    schema: Schema
    test: Table | None
    train_rows: int
    exact: np.ndarray = field(repr=False)
    first: np.ndarray = field(repr=False)
    near: np.ndarray = field(repr=False)

    def within(self, targets: Mapping[str, np.ndarray]) -> list[Finding]:
        """Give duplicates, near-duplicates and contradictions among the rows of the table."""
        table, n = self.table, self.train_rows
        found = []
        if n < len(table):
            found.append(
                Finding("compared_rows", "info", n, f"only the first {n:,} of {len(table):,} rows were compared")
            )
        repeated = np.flatnonzero(self.first[:n] != np.arange(n))
        if len(repeated):
            message = f"{several(len(repeated), 'row')} with the same input as an earlier one"
            found.append(Finding("duplicate_rows", "warning", len(repeated), message, _places(table, repeated)))
        near = np.unique(self.near[(self.near < n).all(axis=1)].max(axis=1, initial=0))
        if len(near):
            message = f"{several(len(near), 'row')} with nearly the same input as an earlier one"
            found.append(Finding("near_duplicate_rows", "info", len(near), message, _places(table, near)))
        for target in self.schema.targets:
            if target.task in ("binary", "multiclass"):
                found += contradictions(table, target, targets[target.name][:n], self.first[:n])
        return found

    def leaked(self, splits: Splits | None) -> tuple[np.ndarray, list[Finding]]:
        """Give the rows of the test part that training has seen, as positions in that part, and what to say."""
        n = len(self.first)
        if self.test is not None:
            place, offset, rows = self.test, self.train_rows, np.arange(self.train_rows, n)
        elif splits is not None:
            place, offset, rows = self.table, 0, splits.test[splits.test < n]
        else:
            return np.zeros(0, np.int64), []
        tested = np.zeros(n, bool)
        tested[rows] = True
        exactly, nearly = self._seen(tested)
        found = []
        for mask, code, how in ((exactly, "leakage", "also"), (nearly, "near_leakage", "nearly")):
            hit = np.flatnonzero(mask)
            if len(hit):
                share = f"{several(len(hit), 'test row')} ({len(hit) / len(rows):.1%})"
                message = f"{share} {how} in training; figures are given with and without them"
                found.append(Finding(code, "warning", len(hit), message, _places(place, hit - offset)))
        return np.searchsorted(rows, np.flatnonzero(exactly | nearly)).astype(np.int64), found

    def _seen(self, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which tested rows equal a training row, and which others are nearly one."""
        trained = np.zeros(len(tested), bool)  # by first row: any of its equals is in training
        trained[self.first[~tested]] = True
        beside = np.zeros(len(tested), bool)  # by first row: nearly the same as one in training
        for one, other in ((0, 1), (1, 0)):
            beside[self.near[trained[self.near[:, one]], other]] = True
        exactly = tested & trained[self.first] & (self.exact != 0)
        return exactly, tested & beside[self.first] & ~exactly


def compare(
    table: Table, schema: Schema, *, fingerprint: Mapping[str, Fingerprint], test: Table | None = None
) -> Compared:
    """Fingerprint the inputs and find equal and nearly equal rows.

    Args:
        table: The data.
        schema: What its columns mean.
        fingerprint: By input column; columns without one are not compared.
        test: A separate test set, compared with `table`.
    """
    columns = {column.name: fingerprint[column.name] for column in schema.columns if column.name in fingerprint}
    train_rows = min(len(table), COMPARED_ROWS)
    parts = [prints(_fingerprints(table, columns, train_rows))]
    if test is not None:
        parts.append(prints(_fingerprints(test, columns, min(len(test), COMPARED_ROWS))))
    both = joined(parts)

    def again(row: int) -> np.ndarray:
        source, at = (table, row) if test is None or row < train_rows else (test, row - train_rows)
        return row_fingerprint([source.values(name, [at])[0] for name in columns], list(columns.values()))

    first = first_equals(both)
    distinct = np.flatnonzero((first == np.arange(len(first))) & (both.exact != 0))
    return Compared(table, schema, test, train_rows, both.exact, first, near_pairs(both, again, distinct))


def _fingerprints(table: Table, columns: Mapping[str, Fingerprint], rows: int) -> Iterator[np.ndarray]:
    taken = sum(table.column(name).nbytes for name in columns)
    step = rows_within(_BLOCK_BYTES, rows=len(table), taken=taken, most=_BLOCK)
    for start in range(0, rows, step):
        block = np.arange(start, min(start + step, rows))
        for values in zip(*(table.values(name, block) for name in columns), strict=True):
            yield row_fingerprint(values, list(columns.values()))


def _places(table: Table, rows: np.ndarray) -> tuple[str, ...]:
    return tuple(table.place(int(row)) for row in rows[:_SHOWN])
