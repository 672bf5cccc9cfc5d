"""A data set whose rows are known by number: what reading gives, and every later step reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import Schema
from underlay.data import Splits, Table, column_rows


@dataclass(frozen=True)
class Prepared:
    """A data set whose rows are known by number.

    Args:
        table: Training data; validation rows are among its rows, test rows too unless `test_table` is given.
        test_table: Test data of its own, or None.
        schema: Of both.
        targets: By target, of `table`.
        test_targets: By target, of the table that test rows come from.
        splits: Row numbers; `test` counts within `test_table` where there is one.
        set_aside: Rows without a usable target or input, and why.
        scales: Regression target -> (mean, scale) of the training rows.
        asked: Next-item target -> what each row as a whole asks for, of `table`; empty where there is none.
        test_asked: The same of the table that test rows come from.
    """

    table: Table
    test_table: Table | None
    schema: Schema
    targets: Mapping[str, np.ndarray]
    test_targets: Mapping[str, np.ndarray]
    splits: Splits
    set_aside: Mapping[str, int]
    scales: Mapping[str, tuple[float, float]]
    asked: Mapping[str, np.ndarray] = field(default_factory=dict)
    test_asked: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each source."""
        digests = {"training": self.table.digest}
        return digests if self.test_table is None else {**digests, "test": self.test_table.digest}

    @property
    def tests_on(self) -> Table:
        """Where test rows come from."""
        return self.test_table or self.table

    def values(self, part: str, column: str) -> Sequence[Any]:
        """Raw values of one column of `train`, `validation` or `test` rows; large ones looked up when asked for."""
        table = self.tests_on if part == "test" else self.table
        return column_rows(table, column, getattr(self.splits, part))

    def truth(self, part: str, target: str) -> np.ndarray:
        """Targets of `train`, `validation` or `test` rows, in the target's own units.

        Of a target that asks what happens next: what follows each event of the training rows, an array a row; of the
        others the one label each row asks for, -1 where training has not seen it.
        """
        values = self.test_targets if part == "test" else self.targets
        if part != "train" and target in self.asked:
            values = self.test_asked if part == "test" else self.asked
        return np.asarray(values[target][getattr(self.splits, part)])

    def scaled(self, targets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Regression targets with the training rows' mean 0 and variance 1; the others as they are."""
        return {
            name: ((values - self.scales[name][0]) / self.scales[name][1]).astype(np.float32)
            if name in self.scales
            else values
            for name, values in targets.items()
        }
