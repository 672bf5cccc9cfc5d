"""What a linear model sees of a picture without a neural network: small pixels and the directions of edges."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from underlay.core import RowError
from underlay.modalities.image_augmentation import GREY
from underlay.modalities.image_decoding import decode
from underlay.modalities.image_resizing import resize

PIXELS = 12
"""Side of the picture whose pixels are features."""

EDGES = 32
"""Side of the picture whose gradients are counted."""

CELL, DIRECTIONS = 4, 9
"""Dalal and Triggs: cells of a few pixels, nine directions of 20 degrees."""

FEATURES = 3 * PIXELS**2 + (EDGES // CELL - 1) ** 2 * 4 * DIRECTIONS
"""F: pixels, and four cells in each block."""

FLAT = 1e-6
"""A feature that spreads less is the same in every picture (a black border), and rounding makes of it what it likes."""


class PictureFeatures:
    """A scikit-learn transformer, raw values -> `[N, F]`: each feature with mean 0 and variance 1, rows of length 1.

    What is no picture counts as a black one. All is done in place, block by block: of a hundred thousand pictures the
    features are 0.9 GB, and scikit-learn's own scaling holds them four times.

    Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005; blocks of two cells.
    """

    def __init__(self) -> None:
        self.mean = np.zeros(FEATURES, np.float32)
        self.spread = np.ones(FEATURES, np.float32)

    def fit(self, values: Sequence[Any], truth: Any = None) -> "PictureFeatures":
        """Learn the scaling."""
        self.fit_transform(values)
        return self

    def transform(self, values: Sequence[Any]) -> np.ndarray:
        """Scaled features of each value, float32 `[N, F]`."""
        return self._scaled(features_of(values))

    def fit_transform(self, values: Sequence[Any], truth: Any = None) -> np.ndarray:
        """Learn the scaling, and as `transform`."""
        found = features_of(values)
        mean = sum((block.sum(0, dtype=np.float64) for block in _blocks(found)), np.zeros(FEATURES)) / len(found)
        squares = (np.square(block - mean).sum(0) for block in _blocks(found))
        spread = np.sqrt(sum(squares, np.zeros(FEATURES)) / len(found))
        self.mean, self.spread = mean.astype(np.float32), np.where(spread > FLAT, spread, 1.0).astype(np.float32)
        return self._scaled(found)

    def _scaled(self, found: np.ndarray) -> np.ndarray:
        for block in _blocks(found):
            block -= self.mean
            block /= self.spread
            length = np.linalg.norm(block, axis=1, keepdims=True)
            block /= np.where(length > 0, length, 1.0)
        return found


def classical() -> Any:
    """Unfitted: pixels and gradients, each with mean 0 and variance 1, rows of length 1."""
    return PictureFeatures()


def features_of(values: Sequence[Any]) -> np.ndarray:
    """Pixels and gradients of each value, float32 `[N, F]`."""
    found = np.empty((len(values), FEATURES), np.float32)
    for row, value in enumerate(values):
        found[row] = _features(value)
    return found


def _blocks(found: np.ndarray) -> Iterator[np.ndarray]:
    """Views of some thousand rows: what a step makes of one is small."""
    return (found[start : start + 4096] for start in range(0, len(found), 4096))


def _features(value: Any) -> np.ndarray:
    try:
        pixels = decode(value, near=2 * EDGES)
    except RowError:
        pixels = np.zeros((1, 1, 3), np.uint8)
    small = resize(pixels, PIXELS).astype(np.float32).ravel() / 255
    return np.concatenate([small, gradients(resize(pixels, EDGES).astype(np.float32) @ GREY)])


def gradients(grey: np.ndarray) -> np.ndarray:
    """Histograms of the directions of edges, float32, each block of 2 x 2 cells of length 1 (or 0).

    Args:
        grey: `[S, S]`, S a multiple of 4.

    >>> bool(gradients(np.zeros((32, 32), np.float32)).any())
    False
    """
    down, right = np.gradient(np.sqrt(np.maximum(grey, 0)))
    strength, angle = np.hypot(down, right), np.arctan2(down, right) % np.pi
    place = angle / np.pi * DIRECTIONS
    lower = place.astype(int) % DIRECTIONS
    share = place - np.floor(place)
    cells = len(grey) // CELL
    counts = np.zeros((cells, cells, DIRECTIONS), np.float32)
    rows, columns = (index // CELL for index in np.indices(grey.shape))
    np.add.at(counts, (rows, columns, lower), strength * (1 - share))
    np.add.at(counts, (rows, columns, (lower + 1) % DIRECTIONS), strength * share)
    blocks = np.concatenate([counts[:-1, :-1], counts[1:, :-1], counts[:-1, 1:], counts[1:, 1:]], axis=2)
    length = np.linalg.norm(blocks, axis=2, keepdims=True)
    # edges weaker than a grey level or two are noise, and dividing would make them as loud as any
    normed: np.ndarray = (blocks / (length + 1.0)).astype(np.float32)
    return normed.ravel()
