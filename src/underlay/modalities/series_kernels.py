"""Fixed convolution kernels whose outputs are counted: features of a series that nothing has to learn.

Source: Dempster, Schmidt and Webb, MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
Classification, KDD 2021. As there: 84 kernels of length 9 with six weights -1 and three weights 2, dilations spread
over the length, thresholds from quantiles of what the kernels give on training series, and of each output the share of
positions above the threshold. Several channels: each kernel adds up a random few (the authors' multivariate code).
Different here: series may have any length, one that is shorter than a kernel's reach is seen through its zero-padded
ends alone; gaps are bridged by lines before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

LENGTH = 9
"""Of a kernel."""

PLACES = np.array(list(combinations(range(LENGTH), 3)), dtype=np.int64)
"""Where each of the 84 kernels has weight 2, `[84, 3]`; everywhere else it has -1."""

KERNELS = len(PLACES)

MOST_DILATIONS = 32
"""As in the paper: more of them leave fewer thresholds to each, and no accuracy is gained."""

MOST_CHANNELS = 9
"""One kernel adds up at most so many channels (the paper's: as many as a kernel has weights)."""

LEAST_SPREAD = 0.01
"""Of a feature: below one position in a hundred it is as good as constant, and dividing would make noise of it."""

GAIN = 10.0
"""Standardised features are multiplied by GAIN / sqrt(F): then the penalty that heads are fitted with everywhere suits
them. Chosen among 100, 10, 3 and 1 by cross-validation on the training parts of nine UCR sets (accuracy 0.943, 0.946,
0.945, 0.928)."""

GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(frozen=True)
class Kernels:
    """Fitted kernels: everything that turns a series into features.

    Args:
        dilations: Distances between the weights of a kernel, rising.
        counts: Thresholds of each kernel under each dilation.
        members: Channels that the kernels add up, end to end, dilation by dilation, kernel by kernel.
        sizes: How many each adds up, `[D * 84]`.
        biases: Thresholds, float32 `[F]`: dilation by dilation, kernel by kernel.
    """

    dilations: tuple[int, ...]
    counts: tuple[int, ...]
    members: np.ndarray
    sizes: np.ndarray
    biases: np.ndarray

    @property
    def features(self) -> int:
        """F."""
        return KERNELS * sum(self.counts)

    @classmethod
    def fit(cls, rows: Sequence[np.ndarray], *, features: int, rng: np.random.Generator) -> "Kernels":
        """Choose dilations by the usual length, channels at random, thresholds by quantiles.

        Args:
            rows: Training series `[T, C]` without NaN, scaled; at least one.
            features: About so many; a multiple of 84, at least 84.
            rng: Draws channels, and the series that give thresholds.
        """
        channels = rows[0].shape[1]
        usual = int(np.median([len(row) for row in rows]))
        dilations, counts = spread_dilations(usual, max(1, features // KERNELS))
        sizes = _drawn_sizes(len(dilations) * KERNELS, channels, rng)
        members = np.concatenate([rng.permutation(channels)[:size] for size in sizes])
        blank = cls(dilations, counts, members, sizes, np.zeros(KERNELS * sum(counts), np.float32))
        return cls(dilations, counts, members, sizes, blank._thresholds(rows, rng))

    def check(self, *, channels: int) -> None:
        """Hold what a file says of kernels against what `fit` could have given.

        Raises:
            ValueError: It could not.
        """
        count = len(self.dilations) * KERNELS
        if not self.dilations or len(self.counts) != len(self.dilations) or min(self.counts + self.dilations) < 1:
            raise ValueError(f"dilations {self.dilations[:8]} and counts {self.counts[:8]} do not fit")
        if self.sizes.shape != (count,) or self.sizes.dtype != np.int64 or self.sizes.min() < 1:
            raise ValueError("the sizes of the kernels do not fit their dilations")
        if self.members.shape != (int(self.sizes.sum()),) or self.members.dtype != np.int64:
            raise ValueError("the channels of the kernels do not fit their sizes")
        if self.members.min() < 0 or self.members.max() >= channels:
            raise ValueError(f"a kernel reads a channel that is none of {channels}")
        if self.biases.shape != (self.features,) or self.biases.dtype != np.float32 or np.isnan(self.biases).any():
            raise ValueError("the thresholds do not fit the kernels")

    def transform(self, row: np.ndarray) -> np.ndarray:
        """Share of positions above each threshold, float32 `[F]`.

        Args:
            row: `[T, C]` without NaN, scaled.
        """
        channels = np.ascontiguousarray(row.T, dtype=np.float32)
        found = np.empty(self.features, np.float32)
        begin = 0
        for place, (dilation, count) in enumerate(zip(self.dilations, self.counts, strict=True)):
            outputs = self._outputs(channels, place)
            biases = self.biases[begin : begin + KERNELS * count].reshape(KERNELS, count)
            shares = found[begin : begin + KERNELS * count].reshape(KERNELS, count)
            for first, inner in _regions(place, dilation, channels.shape[1]):
                shares[first::2] = _share_above(outputs[first::2, inner], biases[first::2])
            begin += KERNELS * count
        return found

    def _outputs(self, channels: np.ndarray, place: int) -> np.ndarray:
        """What the 84 kernels give under one dilation, zeros beyond the ends, `[84, T]`."""
        dilation, length = self.dilations[place], channels.shape[1]
        signals = self._signals(channels, place)  # [84, T], or [1, T] where all kernels read the same
        reach = LENGTH // 2 * dilation
        padded = np.pad(signals, ((0, 0), (reach, reach)))
        shifted = np.stack([padded[:, tap * dilation : tap * dilation + length] for tap in range(LENGTH)])
        kernel = np.arange(KERNELS) if len(signals) > 1 else np.zeros(KERNELS, np.int64)
        first, second, third = (shifted[PLACES[:, column], kernel] for column in range(3))
        return np.asarray(3 * (first + second + third) - shifted.sum(axis=0))

    def _signals(self, channels: np.ndarray, place: int) -> np.ndarray:
        if len(channels) == 1:
            return channels
        ends = np.concatenate([[0], np.cumsum(self.sizes)])
        begin, stop = ends[place * KERNELS], ends[(place + 1) * KERNELS]
        starts = ends[place * KERNELS : (place + 1) * KERNELS] - begin
        return np.add.reduceat(channels[self.members[begin:stop]], starts, axis=0)

    def _thresholds(self, rows: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Quantiles of each kernel's output on a series drawn for it, at well-spread levels."""
        levels = (np.arange(1, sum(self.counts) * KERNELS + 1) * GOLDEN) % 1
        found, begin = np.empty(len(levels), np.float32), 0
        for place, count in enumerate(self.counts):
            drawn = rng.integers(len(rows), size=KERNELS)
            outputs = {
                row: self._outputs(np.ascontiguousarray(rows[row].T, np.float32), place) for row in np.unique(drawn)
            }
            for kernel, row in enumerate(drawn):
                stop = begin + count
                found[begin:stop] = np.quantile(outputs[row][kernel], levels[begin:stop])
                begin = stop
        return found


def spread_dilations(length: int, thresholds: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Dilations for series of this length, and how many of a kernel's thresholds each takes.

    >>> dilations, features = spread_dilations(150, 119)
    >>> dilations[-1], sum(features)
    (18, 119)
    """
    most = min(thresholds, MOST_DILATIONS)
    exponent = np.log2(max(1.0, (length - 1) / (LENGTH - 1)))
    grid = np.logspace(0, exponent, most, base=2).astype(np.int64)
    dilations, counts = np.unique(grid, return_counts=True)
    counts = counts * thresholds // most
    for extra in range(thresholds - int(counts.sum())):
        counts[extra % len(counts)] += 1
    return tuple(dilations.tolist()), tuple(counts.tolist())


def _drawn_sizes(count: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """How many channels each kernel adds up: as often one as two to three as four to seven."""
    most = min(channels, MOST_CHANNELS)
    return np.minimum(2 ** rng.uniform(0, np.log2(most + 1), size=count), most).astype(np.int64)


def _regions(place: int, dilation: int, length: int) -> tuple[tuple[int, slice], tuple[int, slice]]:
    """Every second kernel counts all positions, the others only those where no weight lies beyond an end."""
    reach = LENGTH // 2 * dilation
    inner = slice(reach, length - reach) if length > 2 * reach else slice(None)
    return (place % 2, slice(None)), (1 - place % 2, inner)


def _share_above(outputs: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """`[K, T]` against `[K, N]` -> share of positions above, `[K, N]`."""
    above = np.packbits(outputs[:, None, :] > biases[:, :, None], axis=-1)  # counting bits beats adding booleans
    return np.asarray(np.bitwise_count(above).sum(axis=-1, dtype=np.int64) / outputs.shape[1])


class KernelFeatures:
    """MiniROCKET as a scikit-learn transformer of raw values; a value that cannot be read gives zeros.

    Args:
        read: Raw value -> `[T, C]` without NaN, or None.
        features: About so many.
        channels: C, for the case that no value can be read.
        seed: Of the draws.
    """

    def __init__(self, read: Any, features: int, *, channels: int = 1, seed: int = 0) -> None:
        self.read = read
        self.features = features
        self.channels = channels
        self.seed = seed

    def fit_transform(self, values: Sequence[Any], _: Any = None) -> np.ndarray:
        """Fit kernels and standardisation; float32 `[N, F]`."""
        rows = [self.read(value) for value in values]
        usable = [row for row in rows if row is not None] or [np.zeros((LENGTH, self.channels))]
        self.kernels = Kernels.fit(usable, features=self.features, rng=np.random.default_rng(self.seed))
        found = np.array([self.kernels.transform(row) for row in usable])
        self.mean, self.spread = feature_scaling(found)
        return self._scaled(rows)

    def transform(self, values: Sequence[Any]) -> np.ndarray:
        """Float32 `[N, F]`, each feature with mean 0 and one variance over the training values."""
        return self._scaled([self.read(value) for value in values])

    def _scaled(self, rows: Sequence[np.ndarray | None]) -> np.ndarray:
        nothing = np.zeros(self.kernels.features, np.float32)
        return np.array(
            [
                nothing if row is None else standardised(self.kernels.transform(row), self.mean, self.spread)
                for row in rows
            ],
            np.float32,
        ).reshape(len(rows), self.kernels.features)


def feature_scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, float32 `[F]`; at least `LEAST_SPREAD`."""
    spread = np.maximum(features.std(axis=0), LEAST_SPREAD)
    return features.mean(axis=0).astype(np.float32), spread.astype(np.float32)


def standardised(features: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Features `[F]` with mean 0 over training series, and together about as long as `GAIN`."""
    return np.asarray((features - mean) / spread * np.float32(GAIN / np.sqrt(len(features))))
