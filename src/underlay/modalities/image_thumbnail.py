"""A picture small enough to stand twenty times in a report."""

import io
from typing import Any

import numpy as np

from underlay.modalities.image_decoding import require_pillow
from underlay.modalities.thumbnails import address

SIDE = 96
"""Pixels of the longer side at most: enough to tell what it shows."""

SMALL = 64
"""Pictures below half of it are enlarged by a whole factor, pixels as squares: a digit of 8 pixels is then seen."""

EXACT_BYTES = 8 << 10
"""A PNG beyond it becomes a JPEG, which at this size stays below 12 kB whatever it shows."""


def thumbnail(pixels: np.ndarray) -> str:
    """The picture in its own proportions, at most `SIDE` pixels a side, as a `data:` address.

    Args:
        pixels: uint8 `[H, W, 3]`.
    """
    image = require_pillow().fromarray(pixels)
    longest = max(image.size)
    if longest > SIDE:
        within = tuple(max(1, round(side * SIDE / longest)) for side in image.size)
        image = image.resize(within, require_pillow().Resampling.BICUBIC)
    elif (factor := SMALL // longest) > 1:
        image = image.resize(tuple(side * factor for side in image.size), require_pillow().Resampling.NEAREST)
    exact = _saved(image, "PNG")
    return address(exact, "png") if len(exact) <= EXACT_BYTES else address(_saved(image, "JPEG"), "jpeg")


def _saved(image: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, quality=80)  # of which PNG has no use
    return buffer.getvalue()
