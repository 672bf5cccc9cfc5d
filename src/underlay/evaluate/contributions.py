"""What each input is worth: the key figure with that input taken away, against all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from underlay.core import Target
from underlay.evaluate.interval import Interval
from underlay.evaluate.measure import METRICS, difference, key_metric, measure


@dataclass(frozen=True)
class Contribution:
    """One input taken away.

    Args:
        column: The input.
        figure: The key metric without it, on rows where its value is the neutral one.
        gap: With all inputs minus without this one, over the same resampled rows.
    """

    column: str
    figure: Interval
    gap: Interval


def contributions(
    target: Target,
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    without: Mapping[str, np.ndarray],
    threshold: float | Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Contribution, ...]:
    """The key metric without each input, the one whose loss costs most first.

    Args:
        target: What was predicted.
        scores: With all inputs, as `measure`.
        truth: As `measure`.
        without: By input, the scores of the same rows without it.
        threshold: As `measure`, of all of them.
        seed: Of the resampling.
        resamples: How many.

    >>> target = Target("mood", "binary", ("bad", "good"))
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> found = contributions(target, scores, np.array([0, 1, 0]), without={"a": scores[[0, 0, 0]], "b": scores})
    >>> [(one.column, round(one.gap.value, 2)) for one in found]
    [('a', 0.33), ('b', 0.0)]
    """
    key = key_metric(target)
    found = []
    for column, other in without.items():
        figures = measure(target, other, truth, threshold=threshold, seed=seed, resamples=resamples)
        if key not in figures:
            continue
        gap = difference(
            target, scores, other, truth, threshold=threshold, other_threshold=threshold, seed=seed, resamples=resamples
        )
        found.append(Contribution(column, figures[key], gap))
    sign = 1 if METRICS[key].higher else -1
    return tuple(sorted(found, key=lambda one: -sign * one.gap.value))
