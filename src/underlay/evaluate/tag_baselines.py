"""What one gets for tags without looking at a sentence: the most frequent tag, and each word's own."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from underlay.core import Target, ragged
from underlay.evaluate.baselines import Baseline
from underlay.evaluate.measure import measure

PRIOR = 1.0
"""Occurrences that the frequencies of all tags are worth: a word seen once is already tagged by what it was."""


def tag_baselines(
    target: Target,
    train_units: Sequence[Sequence[str]],
    train_truth: np.ndarray,
    test_units: Sequence[Sequence[str]],
    test_truth: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Baseline, ...]:
    """The most frequent tag for every unit, then a dictionary: the tags each word had in the training rows.

    Args:
        target: Its labels.
        train_units: The units of each row by name (words).
        train_truth: An array a row, label indices `[U]`.
        test_units: To answer.
        test_truth: Their truth.
        seed: Of the intervals.
        resamples: Of the intervals.
    """
    known = [(units, truth) for units, truth in zip(train_units, train_truth, strict=True) if len(units) == len(truth)]
    counts = np.zeros(len(target.labels))
    words: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for units, truth in known:
        for unit, label in zip(units, truth, strict=True):
            if label >= 0:
                counts[label] += 1
                words[unit][int(label)] += 1
    shares = counts / max(counts.sum(), 1)

    def likely(unit: str) -> np.ndarray:
        found = PRIOR * shares
        for label, count in words.get(unit, {}).items():
            found = found + count * (np.arange(len(shares)) == label)
        return np.asarray(found / max(found.sum(), 1e-12))

    def scored(name: str, answer: Callable[[str], np.ndarray]) -> Baseline:
        started = perf_counter()
        rows = [np.array([answer(unit) for unit in units]).reshape(-1, len(shares)) for units in test_units]
        scores = ragged(rows)
        seconds = perf_counter() - started
        metrics = measure(target, scores, test_truth, seed=seed, resamples=resamples)
        return Baseline(name, metrics, scores, seconds, len(known))

    return (scored("Most frequent tag", lambda _: shares), scored("Each word's most frequent tag", likely))
