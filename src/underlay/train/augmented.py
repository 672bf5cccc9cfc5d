"""Rows that look a little different each time they are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from underlay.core import Batch, DenseModality, Encoded, Modality, RowError, is_ragged
from underlay.train.rows import EncodedRows


@dataclass(frozen=True)
class AugmentedRows:
    """Encoded rows, a share of which is augmented and encoded anew in each batch.

    The random numbers come from torch's generator, which the loop seeds for every step: a resumed run draws the same.

    Args:
        rows: The rows as they are.
        values: (column, row numbers of the store) -> raw values.
        share: Of the rows of a batch that are changed, 0 to 1.
    """

    rows: EncodedRows
    values: Callable[[str, np.ndarray], Sequence[Any]]
    share: float

    @property
    def lengths(self) -> np.ndarray:
        """Positions each row takes unchanged, `[N]`."""
        return self.rows.lengths

    def batch(self, rows: Sequence[int]) -> Batch:
        """Collate these rows, some of them changed."""
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        picked = self.rows.rows[np.asarray(rows)]
        changed = np.flatnonzero(rng.random(len(picked)) < self.share)
        dense = any(map(is_ragged, self.rows.targets.values()))
        encoded = {}
        for column, store in self.rows.columns.items():
            encoded[column] = [store[row] for row in picked]
            raw = self.values(column, picked[changed]) if len(changed) else ()
            for at, value in zip(changed, raw, strict=True):
                encoded[column][at] = _changed(
                    self.rows.modalities[column], value, encoded[column][at], rng, dense=dense
                )
        return self.rows.collate(picked, encoded)


def _changed(modality: Modality, value: Any, plain: Encoded, rng: np.random.Generator, *, dense: bool) -> Encoded:
    """The augmented value encoded, or the plain one where nothing usable is left of it.

    Under a dense target the plain one too where it lost or won a unit: the labels would slip.
    """
    try:
        found = modality.encode(modality.augment(value, rng))
    except RowError:
        return plain
    slipped = dense and isinstance(modality, DenseModality) and modality.count(found) != modality.count(plain)
    return plain if slipped else found
