"""The teacher's vectors at every position of every row, on disk, laid out as a batch asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from underlay.bundle import Bundle
from underlay.core import Inputs
from underlay.strategies.students import model_of
from underlay.train import EncodedRows, cache_activations


@dataclass(frozen=True)
class Positions:
    """What stands where a column of arrays would: `[rows]` gives the vectors of these rows, `[B, P, D]`.

    Args:
        hidden: Of the rows that have vectors, end to end, `[sum of lengths, D]`.
        offsets: `[n + 1]`.
        place: By row number: which of the n it is; -1 of a row without vectors.

    >>> column = Positions(np.arange(6.0).reshape(3, 2), np.array([0, 1, 3]), np.array([1, -1, 0]))
    >>> column[np.array([2, 1])].tolist()
    [[[0.0, 1.0]], [[nan, nan]]]
    """

    hidden: np.ndarray
    offsets: np.ndarray
    place: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """NaN behind the last position of a row."""
        spans = [(int(self.offsets[at]), int(self.offsets[at + 1])) if at >= 0 else (0, 0) for at in self.place[rows]]
        longest = max(1, *(stop - start for start, stop in spans))
        found = np.full((len(spans), longest, self.hidden.shape[1]), np.nan, self.hidden.dtype)
        for row, (start, stop) in enumerate(spans):
            found[row, : stop - start] = self.hidden[start:stop]
        return found


def hidden_of(
    teacher: Bundle, encoded: EncodedRows, rows: np.ndarray, folder: Path, *, tokens: int, stop: int | None = None
) -> Positions:
    """What the teacher's trunk gives at the positions of these rows, in half precision.

    Args:
        teacher: One trunk that keeps its positions.
        encoded: All rows as it reads them.
        rows: Row numbers.
        folder: Where the vectors are or will be, named by all that decides them.
        tokens: Most positions at a time.
        stop: First layer that is not run; None: behind the last, its norm included.
    """
    readable = rows[np.all([store.lengths[rows] > 0 for store in encoded.columns.values()], axis=0)]
    model: Any = _Whole(model_of(teacher)) if stop is None else model_of(teacher)
    found = cache_activations(model, encoded.select(readable), stop=stop or 0, folder=folder, batch_tokens=tokens)
    place = np.full(len(encoded), -1, np.int64)
    place[readable] = np.arange(len(readable))
    return Positions(found.hidden, found.offsets, place)


class _Whole:
    """A model of which the whole trunk is the lower part."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def mask(self, inputs: Inputs) -> Tensor | None:
        """Segments `[B, L]`."""
        mask: Tensor | None = self.model.mask(inputs)
        return mask

    def lower(self, inputs: Mapping[str, Any], stop: int) -> Tensor:
        """`[B, L, D]` behind the last layer, its norm included."""
        hidden: Tensor = self.model(inputs).hidden
        return hidden
