"""Tables end to end, their rows numbered through: labelled rows, and behind them such as have no label."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from underlay.core import Modality, UsageError
from underlay.data import Table, gathered_as, open_table
from underlay.strategies.prepare import column_values
from underlay.strategies.prepared import Prepared
from underlay.train import EncodedRows, encode_store

UNLABELLED = -100
"""Class index, or cell, of a row without a label; a number that is not there is NaN."""


@dataclass(frozen=True)
class Stacked:
    """One or several tables as one.

    Args:
        tables: In order; they share the columns that are asked for.
    """

    tables: tuple[Table, ...]

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    @property
    def digest(self) -> str:
        """Of all sources, and how many of their rows there are."""
        return " ".join(f"{table.digest}:{len(table)}" for table in self.tables)

    def column(self, name: str) -> Iterator[Any]:
        """Raw values of one column, in order."""
        return chain.from_iterable(column_values(table, name) for table in self.tables)

    def values(self, name: str, rows: np.ndarray) -> list[Any]:
        """Raw values of these rows, in their order."""
        first = 0
        found: list[Any] = [None] * len(rows)
        for table in self.tables:
            here = np.flatnonzero((rows >= first) & (rows < first + len(table)))
            for place, value in zip(here, table.values(name, rows[here] - first), strict=True):
                found[int(place)] = value
            first += len(table)
        return found

    def encoded(self, modalities: Mapping[str, Modality], cache: Path) -> EncodedRows:
        """Every row encoded once, kept in `cache`; no targets."""
        columns = {}
        for name, modality in modalities.items():
            digest = hashlib.sha256(f"{self.digest}/{name}/{modality.name}".encode())
            for file, content in sorted(modality.state().items()):
                digest.update(file.encode() + content)
            folder = cache / f"encoded-{digest.hexdigest()[:16]}"
            columns[name] = encode_store(folder, modality, self.column(name))
        return EncodedRows(columns, dict(modalities), {}, {}, np.arange(len(self)))


def open_unlabelled(source: Any, data: Prepared, columns: Iterable[str], files: Iterable[str], cache: Path) -> Table:
    """The rows of `source` that are no validation and no test row of `data`.

    Args:
        source: As `fine_tune` reads it.
        data: Read and split.
        columns: That are read.
        files: Columns whose strings name files.
        cache: For the converted rows of large files.

    Raises:
        MissingColumn: It has not all of the columns.
        UsageError: Every row is held out.
    """
    names = list(columns)
    opened = gathered_as(open_table(source, cache=cache), {"data": data.table.gathered or {}}).with_files(list(files))
    shared = [name for name in names if name in data.table.columns]
    held: set[str] = set()
    for part in ("validation", "test"):
        held |= set(map(repr, zip(*(data.values(part, name) for name in shared), strict=True)))
    mine = map(repr, zip(*(column_values(opened, name) for name in shared), strict=True))
    own = np.array([row for row, value in enumerate(mine) if value not in held], dtype=np.int64)
    if not len(own):
        raise UsageError(f"all {len(opened)} unlabelled rows are held out for the figures", "give others")
    return opened.take(own) if len(own) < len(opened) else opened


def with_unlabelled(rows: EncodedRows, stacked: Stacked, cache: Path) -> EncodedRows:
    """Encoded training rows, and behind them those rows of the further tables that can be read.

    Args:
        rows: Of the first table.
        stacked: All tables.
        cache: For encoded rows.

    Raises:
        UsageError: The data has further columns for losses, which unlabelled rows have not.
    """
    if others := sorted(set(rows.extra) - {"weight"}):
        raise UsageError(f"unlabelled rows have no column {others[0]!r}", "drop data.extra, or the unlabelled rows")
    first = len(stacked.tables[0])
    count, both = len(stacked) - first, stacked.encoded(rows.modalities, cache)
    readable = np.all([store.lengths[first:] > 0 for store in both.columns.values()], axis=0)
    return replace(
        both,
        targets={name: np.concatenate([known, _nothing_known(known, count)]) for name, known in rows.targets.items()},
        extra={name: np.concatenate([own, np.ones(count, own.dtype)]) for name, own in rows.extra.items()},
        rows=np.concatenate([rows.rows, first + np.flatnonzero(readable)]),
    )


def _nothing_known(known: np.ndarray, count: int) -> np.ndarray:
    number = known.ndim == 1 and known.dtype.kind == "f"
    return np.full((count, *known.shape[1:]), np.nan if number else UNLABELLED, known.dtype)
