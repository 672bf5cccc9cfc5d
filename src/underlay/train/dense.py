"""Labels of units -> labels of positions, and answers at positions -> answers of rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from underlay.core import DenseModality, Encoded, Modality, UsageError

NOTHING_ASKED = -100
"""The label of a position that no loss and no figure looks at."""


def aligned(labels: Sequence[np.ndarray], units: Sequence[np.ndarray]) -> np.ndarray:
    """Labels by position, int64 `[B, L]`: each unit's at its position, -100 everywhere else.

    Args:
        labels: Of each row's units, `[U]`.
        units: Of each row's positions, as `DenseModality.units` gives them, `[L]`.

    >>> aligned([np.array([5, 6])], [np.array([-1, 0, -1, 1, -1])]).tolist()
    [[-100, 5, -100, 6, -100]]
    """
    found = np.full((len(units), max(map(len, units), default=0)), NOTHING_ASKED, np.int64)
    for row, (known, numbers) in enumerate(zip(labels, units, strict=True)):
        asked = np.flatnonzero(numbers >= 0)
        found[row, asked] = known[numbers[asked]]
    return found


def units_of(encoded: Mapping[str, Sequence[Encoded]], modalities: Mapping[str, Modality]) -> list[np.ndarray]:
    """What `DenseModality.units` gives for each row of the only column.

    Raises:
        UsageError: There are several columns, or the only one has no units.
    """
    return [dense_of(modalities).units(row) for row in next(iter(encoded.values()))]


def dense_of(modalities: Mapping[str, Modality]) -> DenseModality:
    """The modality of the only column.

    Raises:
        UsageError: There are several columns, or the only one has no units.
    """
    modality: Any = next(iter(modalities.values()))
    if len(modalities) != 1 or not isinstance(modality, DenseModality):
        raise UsageError(f"a label a unit is asked of the columns {list(modalities)}", "give one column that has units")
    return modality


class AskedPositions:
    """Collects what a model says at the positions that are asked, batch by batch, and gives it back row by row."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.counts: list[np.ndarray] = []

    def add(self, values: Tensor, asked: Tensor) -> None:
        """Keep `values` `[B, L, ...]` where `asked` `[B, L]` is true."""
        self.parts.append(values[asked].float().cpu())
        self.counts.append(asked.sum(1).cpu().numpy())

    def rows(self, order: np.ndarray) -> list[Tensor]:
        """One tensor `[P, ...]` a row, P of them asked.

        Args:
            order: The row that each of the rows seen was.
        """
        pieces = list(self._pieces())
        return [pieces[at] for at in np.argsort(order, kind="stable")]

    def _pieces(self) -> Iterator[Tensor]:
        for part, counts in zip(self.parts, self.counts, strict=True):
            yield from torch.split(part, counts.tolist())
