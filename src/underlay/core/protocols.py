"""What the rooms ask of one another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from underlay.core.batch import Array, Batch, Inputs, Output

Encoded = dict[str, np.ndarray]
"""One value after `Modality.encode`: named arrays without a batch axis."""


class Part(NamedTuple):
    """A piece of a raw value that explanations, attacks and interventions act on.

    Args:
        start: Where it begins (code points of a text, first row of pixels, first frame).
        stop: One past its end.
        text: How a person would name it.
    """

    start: int
    stop: int
    text: str


@runtime_checkable
class Modality(Protocol):
    """Raw values of one column -> arrays; fitted once, then pure.

    Instances are frozen: `fit` returns a new, fitted one.
    """

    @property
    def name(self) -> str:
        """Registry name with version, `text.v1`."""
        ...

    @property
    def trunk(self) -> str:
        """The trunk that suits it where the recipe names none."""
        ...

    @property
    def files(self) -> bool:
        """Whether a string names a file; in a table it is then relative to the folder of the data file."""
        ...

    @property
    def features(self) -> str:
        """What `classical` computes, for people: `TF-IDF`."""
        ...

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Modality":
        """Learn what training rows alone decide (vocabulary, lengths, scaling)."""
        ...

    def encode(self, value: Any) -> Encoded:
        """Pure: the same value gives the same arrays in training and in serving.

        Raises:
            RowError: The value cannot be used; the other rows go on.
        """
        ...

    def encode_many(self, values: Sequence[Any]) -> "list[Encoded | RowProblem]":
        """`encode` for many, faster; a value that cannot be used gives its problem instead."""
        ...

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """Stack and pad to `[B, ...]`; a row's arrays do not depend on its batch mates but for padding."""
        ...

    def length(self, encoded: Encoded) -> int:
        """What batching budgets: positions this row takes, >= 1."""
        ...

    def augment(self, value: Any, rng: np.random.Generator) -> Any:
        """A raw value of the same meaning, for training only."""
        ...

    def parts(self, value: Any) -> tuple[Part, ...]:
        """The pieces of the value, in order."""
        ...

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        """The value with these parts taken out; without all parts it is the neutral input."""
        ...

    def substitutes(self, value: Any, part: Part) -> Sequence[Any]:
        """Values in which that part is replaced by something a reader would take for the same."""
        ...

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> Any:
        """The value damaged as the world damages it; severity 1 (slight) to 5."""
        ...

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML of the value with one weight a part shown, -1 to 1."""
        ...

    def probe(self, rng: np.random.Generator) -> Any:
        """A synthetic value made from what was learned: golden rows, never a user's row."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What a stem must know to be built, `name` first; under `limit` the most positions of a segment.

        Where the value can be read as a picture, `picture` describes the stem that gives one to a spatial trunk.
        """
        ...

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Reference statistics for drift, JSON data without any raw value."""
        ...

    def fingerprint(self, value: Any) -> np.ndarray:
        """Sorted distinct 64-bit hashes of the value's shingles after normalisation.

        Equal arrays mean the same value; the Jaccard index of two of them says how near the values are.
        """
        ...

    def classical(self) -> Any:
        """An unfitted scikit-learn transformer, raw values -> features, for the honest baseline."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why, and under `warnings` what a person should hear: JSON data."""
        ...

    def state(self) -> Mapping[str, bytes]:
        """Files that hold all of it, by name; the registry entry's `from_state` reads them back."""
        ...


@runtime_checkable
class DenseModality(Protocol):
    """What a modality offers besides, whose values are made of units that can each have a label.

    A unit is the word of a sentence or the event of a sequence; positions are those that `length` counts and `collate`
    fills up. Only such a modality can stand under a dense target.
    """

    def units(self, encoded: Encoded) -> np.ndarray:
        """For each position the number of the unit it answers for, int64 `[L]`.

        -1 where it answers for none: special positions, later pieces of a word, padding. Units are numbered from 0 in
        the order of the raw value; each has at most one position, and none where it was cut.
        """
        ...

    def count(self, encoded: Encoded) -> int:
        """Units of the raw value, those that were cut included: so many labels belong to it."""
        ...


@runtime_checkable
class FollowedModality(DenseModality, Protocol):
    """What a modality offers besides, whose values are things that happened, so that one can ask what happens next.

    Its items are the labels of such a target, in this order.
    """

    @property
    def causal(self) -> str:
        """The trunk that suits it where each position may read the past only."""
        ...

    @property
    def items(self) -> tuple[str, ...]:
        """What it knows by name."""
        ...

    @property
    def first(self) -> int:
        """The id of the first item; the others follow."""
        ...

    @property
    def hidden(self) -> Mapping[str, int] | None:
        """By array, what stands at a position whose unit is hidden; None where each position answers for the next unit.

        Where it is given, a hidden unit stands behind the last, every position answers for its own unit, and a trunk
        may read both ways: training has to hide what it asks for.
        """
        ...

    def unfolded(self, value: Any) -> list[Any]:
        """The units of a raw value, JSON data: a list of some of them is a value again.

        Raises:
            RowError: As `encode`.
        """
        ...

    def named(self, value: Any) -> list[str | None]:
        """The item of each unit; None where it is hidden.

        Raises:
            RowError: As `encode`.
        """
        ...

    def barred(self, value: Any) -> list[str]:
        """Items that are no answer to what happens next.

        Raises:
            RowError: As `encode`.
        """
        ...


@dataclass(frozen=True)
class RowProblem:
    """Why one row could not be used.

    Args:
        code: snake_case, stable.
        message: What was found and what to do.
    """

    code: str
    message: str


@runtime_checkable
class Model(Protocol):
    """Stem + trunk + heads, cut where every signal is continuous.

    Attacks, input gradients, mixup and occlusion act on `embedded` and never ask what it was.
    """

    def embed(self, inputs: Inputs) -> Array:
        """The continuous input `[B, L, D]`."""
        ...

    def mask(self, inputs: Inputs) -> Array | None:
        """Integers `[B, L]`: 0 padding, k >= 1 the k-th segment of the row; None: all real, one segment.

        Positions attend within their own segment (windows of a long document are segments).
        """
        ...

    def encode(self, embedded: Array, mask: Array | None = None, memory: Array | None = None) -> Output:
        """Everything above the stem."""
        ...


class Rows(Protocol):
    """Encoded examples that a loop draws batches from."""

    @property
    def lengths(self) -> np.ndarray:
        """Positions each row takes, `[N]`."""
        ...

    def batch(self, rows: Sequence[int]) -> Batch:
        """Collate these rows, NumPy arrays."""
        ...


Listener = Callable[["Event"], None]
"""Gets every event of a run; a command line prints them, a test collects them."""


@dataclass(frozen=True)
class Event:
    """Something a person who waits would want to know.

    Args:
        kind: `phase`, `note`, `warning`, `table`, `progress` or `result`.
        text: One line.
        data: What a machine reads: a table's `columns` and `rows`, a progress's `done`, `total`,
            `loss`, `rate` (positions/s) and `left` (s).
    """

    kind: str
    text: str
    data: Mapping[str, Any]
