"""The signals of the study: which rows of them are used, and how Underlay reads these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.datasets import WORK, Cut, fashion_mnist, spoken_digits

from benchmarks import series
from underlay.core import Column, Modality, Schema, Target, stream
from underlay.modalities import MODALITIES
from underlay.train import EncodedRows, encode_store

STORES = WORK.parent / "studies" / "language_as_foundation"
"""Encoded rows; ignored by git."""

VALIDATION = 5
"""One row of so many is a validation row."""


@dataclass(frozen=True)
class Task:
    """One signal.

    Args:
        name: On the command line.
        cut: Its official training and test rows.
        modality: Registry name.
        options: How the modality reads.
        sizes: Rows to learn from, validation included: small, middle, large.
        steps: Optimiser steps of a run, about.
        test_rows: Most of them.
    """

    name: str
    cut: Callable[[], Cut]
    modality: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[int, int, int] = (250, 1_000, 3_500)
    steps: int = 600
    test_rows: int = 2_000

    @property
    def middle(self) -> int:
        """Where learning rates are chosen."""
        return self.sizes[1]


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("image", fashion_mnist, "image", {"size": 28, "patch": 4}),
        Task("series", lambda: series.cut("FordA"), "series", {"patch": 16}),
        Task("audio", spoken_digits, "audio", sizes=(250, 500, 900)),
    )
}
"""In the order of the plan."""


@dataclass(frozen=True)
class Encoded:
    """The rows of one size as the loop reads them.

    Args:
        learn: Of training.
        validation: That choose the epoch and the rate.
        test: Read once a final run.
        schema: Column and target.
        described: What a stem needs to know of the column.
    """

    learn: EncodedRows
    validation: EncodedRows
    test: EncodedRows
    schema: Schema
    described: Mapping[str, Any]


class Data:
    """One task's rows: the same for every arm, rate and seed.

    Args:
        task: Which.
        folder: Of encoded rows.
    """

    def __init__(self, task: Task, folder: Path = STORES) -> None:
        self.task, self.folder = task, folder
        self._encoded: dict[int, Encoded] = {}

    @cached_property
    def cut(self) -> Cut:
        """Training rows, and the test rows drawn once.

        Raises:
            DataAbsent: `UNDERLAY_DATA` does not hold them.
        """
        cut = self.task.cut()
        drawn = in_share(cut.test.label.to_numpy(), stream(0, "study/test"))[: self.task.test_rows]
        return Cut(cut.train.reset_index(drop=True), cut.test.iloc[np.sort(drawn)], column=cut.column)

    @cached_property
    def orders(self) -> tuple[np.ndarray, np.ndarray]:
        """Training rows to learn from and to validate on; sizes are their beginnings."""
        return learn_and_validation(self.cut.train.label.to_numpy(), stream(0, "study/rows"))

    def rows(self, size: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of one size to learn from and to validate on.

        Raises:
            ValueError: There are not so many.
        """
        held = size // VALIDATION
        learn, validation = self.orders
        if size - held > len(learn) or held > len(validation):
            raise ValueError(f"{self.task.name} has {len(self.cut.train)} training rows; {size} were asked for")
        return self.cut.train.iloc[learn[: size - held]], self.cut.train.iloc[validation[:held]]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(sorted(set(self.cut.train.label)))

    @property
    def target(self) -> Target:
        """What is predicted."""
        return Target("label", "binary" if len(self.labels) == 2 else "multiclass", self.labels)

    def modality(self, size: int) -> Modality:
        """Fitted on the rows to learn from alone."""
        fresh = MODALITIES[self.task.modality].create(assets={}, limit=None, options=self.task.options)
        fitted: Modality = fresh.fit(values_of(self.rows(size)[0], self.cut.column), stream(0, "study/modality"))
        return fitted

    def encoded(self, size: int) -> Encoded:
        """Encoded once, on disk and for this process."""
        if size not in self._encoded:
            modality, column = self.modality(size), self.cut.column
            parts = [self._part(modality, frame) for frame in (*self.rows(size), self.cut.test)]
            schema = Schema((Column(column, self.task.modality),), (self.target,))
            self._encoded[size] = Encoded(*parts, schema, modality.describe())
        return self._encoded[size]

    def _part(self, modality: Modality, frame: pd.DataFrame) -> EncodedRows:
        key = sha256(frame.index.to_numpy().tobytes() + repr(self.task.options).encode())
        for name, content in sorted(modality.state().items()):
            key.update(name.encode() + content)
        column = self.cut.column
        folder = self.folder / f"{self.task.name}-{len(frame)}-{key.hexdigest()[:16]}"
        store = encode_store(folder, modality, values_of(frame, column))
        if store.problems:
            raise ValueError(f"{self.task.name}: {len(store.problems)} rows cannot be read: {store.problems}")
        truth = np.array([self.labels.index(label) for label in frame.label], np.int64)
        return EncodedRows({column: store}, {column: modality}, {"label": truth}, {}, np.arange(len(frame)))


def learn_and_validation(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two orders of rows, a fifth of every class in the second; each beginning of either is stratified.

    >>> learn, validation = learn_and_validation(np.array(["a", "b"] * 10), np.random.default_rng(0))
    >>> len(learn), len(validation), sorted(validation[:2] % 2)
    (16, 4, [np.int64(0), np.int64(1)])
    """
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        held[rng.permutation(np.flatnonzero(labels == label))[::VALIDATION]] = True
    learn, validation = np.flatnonzero(~held), np.flatnonzero(held)
    return learn[in_share(labels[learn], rng)], validation[in_share(labels[validation], rng)]


def in_share(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An order of rows each of whose beginnings holds every class in its share, up to one row.

    >>> in_share(np.array([0, 0, 0, 0, 1, 1]), np.random.default_rng(0))[:3].tolist().count(4) <= 1
    True
    """
    places = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        places[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.lexsort((rng.permutation(len(labels)), places))


def values_of(frame: pd.DataFrame, column: str) -> list[Any]:
    """Raw values as a modality reads them; a table keeps the channels of a series as arrays in an array."""
    return [list(value) if isinstance(value, np.ndarray) else value for value in frame[column]]
