"""What training cells looked like, in counts, and their classical features."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from underlay.core import RowProblem

if TYPE_CHECKING:
    from underlay.modalities.table import Cells

SCORE_EDGES = (-10.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""Of normal scores: the training rows fill them as a bell, whatever the column's unit; no raw number is kept."""

SHOWN = 64
"""Categories counted apart; the rarer known ones are counted together."""

_CHUNK = 4_096


def sketch_cells(values: Iterable[Any], cells: "Cells") -> Mapping[str, Any]:
    """Counts over the cells, JSON data with no cell in it.

    Args:
        values: Raw cells, read once.
        cells: Fitted.

    Returns:
        `rows`; `missing`, `unusable`, and `out_of_range` or `unseen`; under `histograms`, `scores` with `edges` (lower
        ends; the last bin is open) and `counts`; or under `shares`, `categories`: counts in the order learned.
    """
    numeric = bool(cells.learned.scale.knots)
    counts = np.zeros(len(SCORE_EDGES) if numeric else min(len(cells.learned.categories), SHOWN) + 1, np.int64)
    found = {"rows": 0, "missing": 0, "unusable": 0, "out_of_range" if numeric else "unseen": 0}
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        encoded = cells.encode_many(chunk)
        found["rows"] += len(chunk)
        usable = [(value, row) for value, row in zip(chunk, encoded, strict=True) if not isinstance(row, RowProblem)]
        found["unusable"] += len(chunk) - len(usable)
        seen = [(value, row) for value, row in usable if row["observed"][0]]
        found["missing"] += len(usable) - len(seen)
        if numeric:
            found["out_of_range"] += sum("out_of_range" in cells.notices(value) for value, _ in seen)
            scores = np.array([row["number"][0] for _, row in seen])
            counts += np.bincount(np.searchsorted(SCORE_EDGES, scores, side="right") - 1, minlength=len(counts))
        else:
            ids = np.array([row["category"][0] for _, row in seen], np.int64)
            found["unseen"] += int((ids == 1).sum())
            known = np.minimum(ids[ids > 1] - 2, len(counts) - 1)
            counts += np.bincount(known, minlength=len(counts))
    if numeric:
        return {**found, "histograms": {"scores": {"edges": list(SCORE_EDGES), "counts": counts.tolist()}}}
    return {**found, "shares": {"categories": counts.tolist()}}


class TableFeatures:
    """Classical features of cells; a scikit-learn transformer that has nothing left to learn.

    Args:
        cells: Fitted on the training rows.
    """

    def __init__(self, cells: "Cells") -> None:
        self.cells = cells

    def fit(self, values: Sequence[Any], _: Any = None) -> Self:
        """Itself."""
        return self

    def fit_transform(self, values: Sequence[Any], _: Any = None) -> np.ndarray:
        """`transform`."""
        return self.transform(values)

    def transform(self, values: Sequence[Any]) -> np.ndarray:
        """`[N, 2]`: the score and whether it is missing; or `[N, K]`, one column a category, missing and other first.

        A cell that cannot be used counts as missing.
        """
        empty = {"number": np.zeros(1), "category": np.zeros(1, np.int64), "observed": np.zeros(1)}
        rows = [empty if isinstance(row, RowProblem) else row for row in self.cells.encode_many(list(values))]
        if self.cells.learned.scale.knots:
            return np.array([[row["number"][0], 1 - row["observed"][0]] for row in rows], float).reshape(-1, 2)
        columns = len(self.cells.learned.categories) + 2
        return np.eye(columns)[np.array([row["category"][0] for row in rows], np.int64)].reshape(-1, columns)
