"""Answers that rank all labels: the likeliest few, and those that are none."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from underlay.core import FollowedModality, Modality, Target

SHOWN = 10
"""Labels of one answer."""


def likeliest(probabilities: np.ndarray, count: int = SHOWN) -> np.ndarray:
    """The label indices of the largest probabilities of each row, the largest first, `[N, count]`.

    >>> likeliest(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
    [[1, 2]]
    """
    return np.asarray(np.argsort(-probabilities, axis=-1, kind="stable")[:, :count])


def without_barred(
    target: Target,
    probabilities: np.ndarray,
    rows: Mapping[str, Sequence[Any]],
    modalities: Mapping[str, Modality],
    *,
    skipped: Collection[int],
) -> np.ndarray:
    """The probabilities with those of labels that are no answer shared out among the others.

    Where every label is barred, none is.

    Args:
        target: What is asked.
        probabilities: `[N, K]`.
        rows: Raw values by column.
        modalities: By column.
        skipped: Rows that cannot be used.
    """
    column, modality = next(iter(modalities.items()))
    if not isinstance(modality, FollowedModality):
        return probabilities
    places = {name: at for at, name in enumerate(target.labels)}
    found = probabilities.copy()
    for row, value in enumerate(rows[column]):
        if row in skipped:
            continue
        closed = [places[name] for name in modality.barred(value) if name in places]
        if closed and len(closed) < len(places):
            found[row, closed] = 0.0
            found[row] /= found[row].sum()
    return found
