"""Few rows drawn several times in an epoch, so that an epoch is worth a validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from underlay.core import Batch, Rows


@dataclass(frozen=True)
class RepeatedRows:
    """The same rows `times` over; an augmented one looks different each time.

    Args:
        rows: N rows.
        times: At least 1.
    """

    rows: Rows
    times: int

    @property
    def lengths(self) -> np.ndarray:
        """Positions each row takes, `[N * times]`."""
        return np.tile(self.rows.lengths, self.times)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Collate these rows."""
        count = len(self.rows.lengths)
        return self.rows.batch([row % count for row in rows])
