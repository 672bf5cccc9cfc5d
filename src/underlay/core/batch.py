"""The two records that cross every room during training and prediction.

Arrays are NumPy arrays on the way in and tensors once a backend has taken them (`Batch.map`);
this room knows neither by import, so that serving runs without PyTorch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from underlay.core.errors import MissingColumn

Array: TypeAlias = Any
"""`numpy.ndarray` or `torch.Tensor`."""

Inputs: TypeAlias = Mapping[str, Mapping[str, Array]]
"""Column name -> array name -> array `[B, ...]`, as the modality's `collate` gave it."""


@dataclass(frozen=True)
class Batch:
    """Examples after their modalities, before the model.

    Args:
        inputs: By column, then by array: `{"text": {"ids": [B, L], "mask": [B, L]}}`.
        targets: By target: class index `[B]` (-100 where unlabelled), `[B, K]` of 0 and 1 for
            multilabel (-100 where unlabelled), a number `[B]` for regression; of a dense target a class index for
            each position `[B, L]` (-100 where nothing is asked).
        extra: Further named columns `[B, ...]` a loss may ask for (`weight`, groups, teacher logits).
    """

    inputs: Inputs
    targets: Mapping[str, Array] = field(default_factory=dict)
    extra: Mapping[str, Array] = field(default_factory=dict)

    def map(self, change: Callable[[Array], Array]) -> "Batch":
        """The same batch with `change` applied to every array (`torch.from_numpy`, a device)."""
        return Batch(
            {column: {name: change(array) for name, array in arrays.items()} for column, arrays in self.inputs.items()},
            {name: change(array) for name, array in self.targets.items()},
            {name: change(array) for name, array in self.extra.items()},
        )

    def target(self, name: str | None = None) -> Array:
        """The target `name`, or the only one.

        Raises:
            MissingColumn: There is none of that name, or several and no name.
        """
        if name is None and len(self.targets) == 1:
            return next(iter(self.targets.values()))
        return pick(self.targets, name or "target", "this loss")

    def column(self, name: str, asker: str) -> Array:
        """The extra column `name`.

        Raises:
            MissingColumn: The schema did not carry the column to `asker`.
        """
        return pick(self.extra, name, asker)


@dataclass(frozen=True)
class Output:
    """What a model says of a batch.

    Args:
        hidden: One vector a position, `[B, L, D]`.
        features: Pooled, `[B, D]`, before the heads.
        logits: By target, `[B, K]`; `[B, L, K]` of a dense target (tagging, next item); `[B, 1]` for regression.
        mask: Which positions are real, `[B, L]`; None where all are.
    """

    hidden: Array
    features: Array
    logits: Mapping[str, Array]
    mask: Array | None = None

    def logit(self, name: str | None = None) -> Array:
        """The logits of target `name`, or the only ones.

        Raises:
            MissingColumn: There are none of that name, or several and no name.
        """
        if name is None and len(self.logits) == 1:
            return next(iter(self.logits.values()))
        return pick(self.logits, name or "target", "this loss")


def pick(columns: Mapping[str, Array], name: str, asker: str) -> Array:
    """Give `columns[name]`, or say who misses what.

    Raises:
        MissingColumn: It is not there.
    """
    if name not in columns:
        raise MissingColumn(asker, name, columns)
    return columns[name]
