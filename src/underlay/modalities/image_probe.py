"""Synthetic pictures in the colours of the training pictures: none that anybody took."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from underlay.modalities.image_augmentation import GREY
from underlay.modalities.image_resizing import resize

LEAST_SIDE, MOST_SIDE = 12, 40
"""Pixels a side: golden rows stand in a text file."""

STEP = 16
"""Grey levels are rounded to it, which makes a smooth picture compress well."""

SHAPES = 4


def probe(rng: np.random.Generator, colours: Mapping[str, Any]) -> np.ndarray:
    """A smooth random field with a few shapes on it, uint8 `[H, W, 3]`.

    Args:
        rng: Decides everything.
        colours: `mean` and `std` of each channel, white = 1, and `grey`, the share of pictures without colour.
    """
    height, width = rng.integers(LEAST_SIDE, MOST_SIDE + 1, size=2)
    mean, std = np.array(colours["mean"]), np.array(colours["std"])
    values = mean + 1.5 * std * _field(rng, int(height), int(width))
    for _ in range(int(rng.integers(SHAPES + 1))):
        inside = _shape(rng, int(height), int(width))
        values[inside] = mean + 1.5 * std * rng.normal(size=3)
    pixels = np.clip(np.round(255 * values / STEP) * STEP, 0, 255)
    if rng.random() < colours["grey"]:
        pixels = np.repeat((pixels @ GREY)[:, :, None], 3, axis=2)
    return np.asarray(pixels, np.uint8)


def _field(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise of a few cells made as large as the picture, about -2 to 2, `[H, W, 3]`."""
    cells = int(rng.integers(2, 7))
    shared, own = rng.normal(size=(cells, cells, 1)), rng.normal(size=(cells, cells, 3))
    coarse = np.clip(128 + 48 * (0.8 * shared + 0.6 * own), 0, 255).astype(np.uint8)
    side = max(height, width)
    smooth: np.ndarray = (resize(coarse, side)[:height, :width].astype(float) - 128) / 48
    return smooth


def _shape(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Where a rectangle, an ellipse or a bar lies, bool `[H, W]`."""
    down, right = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    top, left = rng.uniform(-0.1, 0.8, size=2)
    tall, broad = rng.uniform(0.1, 0.7, size=2)
    y, x = (down - top) / tall, (right - left) / broad
    kind = int(rng.integers(3))
    if kind == 0:
        return np.asarray((y >= 0) & (y <= 1) & (x >= 0) & (x <= 1))
    if kind == 1:
        return np.asarray((y - 0.5) ** 2 + (x - 0.5) ** 2 <= 0.25)
    slope = rng.uniform(-2, 2)
    return np.asarray(np.abs(x - 0.5 - slope * (y - 0.5)) <= 0.25)
