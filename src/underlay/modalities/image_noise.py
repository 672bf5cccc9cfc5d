"""Pictures damaged as cameras, light and channels damage them.

Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions, ICLR 2019; severities
are chosen here for small pictures.
"""

import io
from collections.abc import Callable

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.image_decoding import require_pillow

SEVERITIES = 5

Damage = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def corrupt(pixels: np.ndarray, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The picture with one kind of damage, uint8 `[H, W, 3]`.

    Args:
        pixels: uint8 `[H, W, 3]`.
        kind: One of `KINDS`.
        severity: 1 (slight) to 5.
        rng: Draws noise and signs.

    Raises:
        UnknownName: There is no such kind.
        UsageError: The severity is another one.
    """
    if kind not in KINDS:
        raise UnknownName("kind of picture damage", kind, KINDS)
    if not 1 <= severity <= SEVERITIES:
        raise UsageError(f"severity is {severity}", f"give 1 (slight) to {SEVERITIES}")
    damaged = KINDS[kind](pixels.astype(np.float32), severity - 1, rng)
    return np.clip(np.round(damaged), 0, 255).astype(np.uint8)


def _noise(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    spread = (8, 15, 25, 38, 55)[level]  # standard deviation in grey levels
    return np.asarray(pixels + rng.normal(0, spread, pixels.shape).astype(np.float32))


def _blur(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001 - one shape for all
    from PIL import ImageFilter

    radius = (0.01, 0.02, 0.03, 0.045, 0.06)[level] * len(pixels)
    image = require_pillow().fromarray(pixels.astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image)


def _brightness(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:
    step = (0.1, 0.2, 0.3, 0.42, 0.55)[level]
    return pixels * (1 - step) if rng.random() < 0.5 else 255 - (255 - pixels) * (1 - step)


def _contrast(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    left = (0.75, 0.55, 0.4, 0.28, 0.18)[level]
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return np.asarray(mean + (pixels - mean) * left)


def _jpeg(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    buffer = io.BytesIO()
    images = require_pillow()
    images.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=(60, 35, 20, 12, 7)[level])
    with images.open(buffer, formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))


def _pixelate(pixels: np.ndarray, level: int, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    images = require_pillow()
    image = images.fromarray(pixels.astype(np.uint8))
    small = tuple(max(2, round(side * (0.7, 0.55, 0.42, 0.33, 0.25)[level])) for side in image.size)
    return np.asarray(image.resize(small, images.Resampling.BOX).resize(image.size, images.Resampling.NEAREST))


KINDS: dict[str, Damage] = {
    "blur": _blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "jpeg": _jpeg,
    "noise": _noise,
    "pixelate": _pixelate,
}
"""Name -> damage of float pixels 0 to 255, `[H, W, 3]`."""
