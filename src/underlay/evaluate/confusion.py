"""Which label is taken for which, and how each label fares."""

from dataclasses import dataclass

import numpy as np

from underlay.core import Target
from underlay.evaluate.interval import Interval, wilson


@dataclass(frozen=True)
class Confused:
    """Rows of one label that were given another.

    Args:
        truth: What it is.
        prediction: What was said.
        count: Rows.
        share: Of the rows of `truth`.
    """

    truth: str
    prediction: str
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """Rows by truth and prediction.

    Args:
        labels: In the target's order.
        counts: `[K][K]`, by truth, then prediction; empty above `LARGEST` labels.
        pairs: The most frequent confusions, most frequent first.
        mistakes: Rows off the diagonal.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    pairs: tuple[Confused, ...]
    mistakes: int


@dataclass(frozen=True)
class LabelFigures:
    """How one label fares.

    Args:
        label: Its name.
        count: Rows that carry it.
        predicted: Rows that were given it.
        precision: Of the rows given it, how many carry it; None when none was given it.
        recall: Of the rows that carry it, how many were given it; None when none carries it: untested.
        f1: Their harmonic mean; None when untested.
    """

    label: str
    count: int
    predicted: int
    precision: Interval | None
    recall: Interval | None
    f1: float | None


LARGEST = 40
"""Labels up to which the whole matrix is kept: beyond it nobody reads it."""


def confusion(target: Target, predictions: np.ndarray, truth: np.ndarray, *, pairs: int = 20) -> Confusion:
    """Count truth against prediction for a binary or multiclass target.

    Args:
        target: Gives the labels.
        predictions: `[N]`, label indices.
        truth: `[N]`, label indices.
        pairs: The most frequent confusions to name.
    """
    labels = target.labels
    counts = np.bincount(truth * len(labels) + predictions, minlength=len(labels) ** 2)
    counts = counts.reshape(len(labels), len(labels))
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:pairs]
    found = [divmod(int(place), len(labels)) for place in order]
    return Confusion(
        labels=labels,
        counts=tuple(tuple(row) for row in counts.tolist()) if len(labels) <= LARGEST else (),
        pairs=tuple(
            Confused(labels[true], labels[said], int(wrong[true, said]), float(wrong[true, said] / counts[true].sum()))
            for true, said in found
            if wrong[true, said]
        ),
        mistakes=int(wrong.sum()),
    )


def label_figures(target: Target, predictions: np.ndarray, truth: np.ndarray) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of each label, in the target's order; for `[N]` indices or `[N, K]` of 0 and 1."""
    if truth.ndim == 1:
        labels = len(target.labels)
        carried, given = np.bincount(truth, minlength=labels), np.bincount(predictions, minlength=labels)
        right = np.bincount(truth[truth == predictions], minlength=labels)
    else:
        carried, given, right = truth.sum(0), predictions.sum(0), (truth * predictions).sum(0)
    return tuple(
        LabelFigures(
            label=name,
            count=int(true),
            predicted=int(said),
            precision=wilson(float(hit / said), int(said)) if said else None,
            recall=wilson(float(hit / true), int(true)) if true else None,
            f1=float(2 * hit / (true + said)) if true else None,
        )
        for name, true, said, hit in zip(target.labels, carried, given, right, strict=True)
    )
