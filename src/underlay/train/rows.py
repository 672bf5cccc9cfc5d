"""Encoded examples on disk, read back as batches: memory stays flat however many rows there are."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from underlay.core import Batch, Encoded, Modality, RowProblem, encode_within, is_ragged, rows_within
from underlay.core.durable import resource_errors
from underlay.train.arrays import save_array
from underlay.train.dense import aligned, units_of

CHUNK = 4096
"""Most values encoded at a time: enough for the tokenizer to use every core."""

FIRST_CHUNK = 256
"""Values of the first chunk, whose size says how many the next may hold."""

CHUNK_BYTES = 16 << 20
"""Of a chunk, about: encoded bytes, and raw ones; recordings take a thousand times what texts do, and long ones whole
more than what is read of them."""


@dataclass(frozen=True)
class Store:
    """Encoded values of one column: for each array its values end to end, and where each row begins.

    Args:
        arrays: Name -> the rows' arrays end to end along their first axis, memory-mapped.
        offsets: Name -> `[N + 1]`.
        lengths: Positions each row takes, `[N]`; 0 for a row that could not be encoded.
        problems: Why, by row.
    """

    arrays: Mapping[str, np.ndarray]
    offsets: Mapping[str, np.ndarray]
    lengths: np.ndarray
    problems: Mapping[int, RowProblem]

    def __getitem__(self, row: int) -> Encoded:
        return {name: flat[self.offsets[name][row] : self.offsets[name][row + 1]] for name, flat in self.arrays.items()}

    def __len__(self) -> int:
        return len(self.lengths)


def encode_store(folder: Path, modality: Modality, values: Iterable[Any]) -> Store:
    """Encode every value once and keep it in `folder`; a finished store there is opened as it is.

    The caller names the folder by a digest of the data and of the modality's state.

    Args:
        folder: Where the store is or will be.
        modality: Fitted.
        values: Raw values, read once, in order.
    """
    if not (folder / "store.json").exists():
        with resource_errors(folder):
            _write(folder, modality, iter(values))
    mark = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    return Store(
        {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in mark["arrays"]},
        {name: np.load(folder / f"{name}.offsets.npy") for name in mark["arrays"]},
        np.load(folder / "lengths.npy"),
        {int(row): RowProblem(*problem) for row, problem in mark["problems"].items()},
    )


def _write(folder: Path, modality: Modality, values: Iterator[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.raw"):  # of an interrupted write
        left.unlink()
    counts: dict[str, list[np.ndarray]] = {}
    kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}  # of the arrays: type, and shape behind the first axis
    lengths: list[int] = []
    problems: dict[int, tuple[str, str]] = {}
    size, written = FIRST_CHUNK, 0
    while answers := encode_within(modality, islice(values, size), budget=CHUNK_BYTES):
        before = len(lengths)
        for answer in answers:
            if isinstance(answer, RowProblem):
                problems[len(lengths)] = (answer.code, answer.message)
            lengths.append(0 if isinstance(answer, RowProblem) else modality.length(answer))
        for name in {name for answer in answers if isinstance(answer, dict) for name in answer} - set(kinds):
            first = next(answer[name] for answer in answers if isinstance(answer, dict))
            kinds[name] = (first.dtype, first.shape[1:])
            counts[name] = [np.zeros(before, np.int64)]
        for name, (dtype, shape) in kinds.items():
            empty = np.zeros((0, *shape), dtype)
            parts = [answer[name] if isinstance(answer, dict) else empty for answer in answers]
            counts[name].append(np.array([len(part) for part in parts]))
            written += sum(part.nbytes for part in parts)
            with (folder / f"{name}.raw").open("ab") as file:
                file.write(np.concatenate(parts).tobytes())
        size = rows_within(CHUNK_BYTES, rows=len(lengths), taken=written, most=CHUNK)
    for name, (dtype, shape) in kinds.items():
        _finish(folder, name, dtype, shape, np.concatenate(counts[name]))
    save_array(folder / "lengths.npy", np.array(lengths, dtype=np.int64))
    mark = folder / "store.json.part"
    mark.write_text(json.dumps({"arrays": sorted(kinds), "problems": problems}), encoding="utf-8")
    os.replace(mark, folder / "store.json")


def _finish(folder: Path, name: str, dtype: "np.dtype[Any]", shape: tuple[int, ...], counts: np.ndarray) -> None:
    raw = folder / f"{name}.raw"
    flat = np.memmap(raw, dtype=dtype, mode="r") if raw.stat().st_size else np.zeros(0, dtype)
    save_array(folder / f"{name}.npy", flat.reshape(-1, *shape))
    save_array(folder / f"{name}.offsets.npy", np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))
    del flat
    raw.unlink()


@dataclass(frozen=True)
class EncodedRows:
    """Rows that batches are drawn from: columns, targets, extra columns, all of N rows.

    Args:
        columns: Column -> its encoded values.
        modalities: Column -> the modality that collates them.
        targets: Target -> `[N]` or `[N, K]`; of a dense target N arrays, one label a unit of the row.
        extra: Name -> `[N, ...]`, or what gives such an array for the rows it is asked for, `column[rows]`.
        rows: Which of the stored rows these are; positions 0..N-1 count within it.
    """

    columns: Mapping[str, Store]
    modalities: Mapping[str, Modality]
    targets: Mapping[str, np.ndarray]
    extra: Mapping[str, Any]
    rows: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Positions each row takes over all columns, `[N]`."""
        return np.asarray(np.sum([store.lengths[self.rows] for store in self.columns.values()], axis=0))

    def batch(self, rows: Sequence[int] | np.ndarray) -> Batch:
        """Collate these rows (positions within this selection)."""
        picked = self.rows[np.asarray(rows)]
        return self.collate(picked, {column: [store[row] for row in picked] for column, store in self.columns.items()})

    def collate(self, picked: np.ndarray, encoded: Mapping[str, Sequence[Encoded]]) -> Batch:
        """A batch of the stored rows `picked`, with these encoded values by column."""
        targets = {name: values[picked] for name, values in self.targets.items()}
        if any(map(is_ragged, targets.values())):
            units = units_of(encoded, self.modalities)
            targets = {name: aligned(one, units) if is_ragged(one) else one for name, one in targets.items()}
        return Batch(
            {column: self.modalities[column].collate(values) for column, values in encoded.items()},
            targets,
            {name: values[picked] for name, values in self.extra.items()},
        )

    def select(self, rows: np.ndarray) -> "EncodedRows":
        """The same store seen through other rows (positions in the store)."""
        return EncodedRows(self.columns, self.modalities, self.targets, self.extra, rows)

    def __len__(self) -> int:
        return len(self.rows)
