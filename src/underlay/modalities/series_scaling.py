"""Channels of different units on one scale, as training series were."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

FARTHEST = 1e4
"""Scaled values beyond so many standard deviations are moved there: half formats hold no more than 65,504."""

LEAST_SHARE = 1e-3
"""A series scaled by itself is divided by at least this share of the channel's usual spread: a flat line stays flat."""

NEAR = 0.05
"""A training series counts as normalised already where mean and spread are so near 0 and 1."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and squared deviations of values that are there, by channel `[C]`.

    >>> Moments.of(np.array([[1.0], [np.nan], [3.0]])).spread.tolist()
    [1.0]
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Moments":
        """Of one series `[T, C]`; channels without a value count as none."""
        seen = ~np.isnan(numbers)
        count = seen.sum(axis=0)
        filled = np.where(seen, numbers, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = filled.sum(axis=0) / np.maximum(count, 1)
            squares = np.square(np.where(seen, numbers - mean, 0.0)).sum(axis=0)
        return cls(count, mean, squares)

    def plus(self, other: "Moments") -> "Moments":
        """Of both together. Source: Chan, Golub and LeVeque, Updating Formulae, 1979, eq. 2.1."""
        count = self.count + other.count
        apart = other.mean - self.mean
        share = other.count / np.maximum(count, 1)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = self.squares + other.squares + np.square(apart) * self.count * share
        return Moments(count, self.mean + apart * share, squares)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation `[C]`; 1 for a channel that never varies."""
        spread = np.sqrt(self.squares / np.maximum(self.count, 1))
        return np.where(np.isfinite(spread) & (spread > 1e-300), spread, 1.0)

    @property
    def normalised(self) -> bool:
        """Whether mean and spread are those of a normalised series."""
        return bool((np.abs(self.mean) < NEAR).all() and (np.abs(self.spread - 1) < NEAR).all())


def scaled(numbers: np.ndarray, *, scale: str, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The series `[T, C]` as the model sees it, NaN where it was NaN.

    Args:
        numbers: Raw.
        scale: `none`, `global` or `each`.
        mean: Of the channels in training series, `[C]`.
        spread: Their standard deviation, `[C]`.

    >>> scaled(np.array([[5.0], [7.0]]), scale="global", mean=np.array([5.0]), spread=np.array([2.0]))[:, 0].tolist()
    [0.0, 1.0]
    """
    if scale == "none":
        return numbers
    if scale == "each":
        own = Moments.of(numbers)
        mean, spread = own.mean, np.maximum(np.sqrt(own.squares / np.maximum(own.count, 1)), LEAST_SHARE * spread)
    with np.errstate(over="ignore"):
        return np.asarray(np.clip((numbers - mean) / spread, -FARTHEST, FARTHEST))


def bridged(numbers: np.ndarray) -> np.ndarray:
    """Gaps filled by lines between their ends, `[T, C]`; a channel without any value is 0.

    >>> bridged(np.array([[np.nan], [1.0], [np.nan], [3.0]]))[:, 0].tolist()
    [1.0, 1.0, 2.0, 3.0]
    """
    if not np.isnan(numbers).any():
        return numbers
    filled, times = np.zeros_like(numbers), np.arange(len(numbers))
    for channel, column in enumerate(numbers.T):
        seen = ~np.isnan(column)
        if seen.any():
            filled[:, channel] = np.interp(times, times[seen], column[seen])
    return filled


def pooled(moments: Iterable[Moments]) -> Moments:
    """Of all series together."""
    total: Moments | None = None
    for one in moments:
        total = one if total is None else total.plus(one)
    if total is None:
        raise ValueError("no series")
    return total
