"""Pictures of one size: how each is brought to it, and which size suits them."""

from collections.abc import Sequence

import numpy as np

from underlay.modalities.image_decoding import WHITE, require_pillow

FITS = ("squash", "crop", "pad")
"""What happens to a picture that is not square: both sides scaled alone, its middle kept, or white added."""

COVERED = 0.9
"""The size is that of the pictures of which 90 % are no larger."""

CELLS = 7
"""A patch is small enough that at least so many stand side by side (ViT has 14, on pictures of 224)."""


def resize(pixels: np.ndarray, size: int, *, fit: str = "squash") -> np.ndarray:
    """The picture at `size x size`, uint8 `[size, size, 3]`; one of that size is given back as it is.

    Args:
        pixels: uint8 `[H, W, 3]`.
        size: Pixels a side.
        fit: One of `FITS`.

    >>> resize(np.zeros((20, 10, 3), np.uint8), 8, fit="pad")[0, :, 0].tolist()
    [255, 255, 0, 0, 0, 0, 255, 255]
    """
    if pixels.shape[:2] == (size, size):
        return pixels
    images = require_pillow()
    image = images.fromarray(pixels)
    method = images.Resampling.BICUBIC  # averages over all it covers where it shrinks, unlike that of most frameworks
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return np.asarray(image.resize((size, size), method, box=(left, top, left + side, top + side)))
    if fit == "pad":
        scale = size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = images.new("RGB", (size, size), WHITE)
        canvas.paste(image.resize(inner, method), ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return np.asarray(canvas)
    return np.asarray(image.resize((size, size), method))


def choose_size(sides: Sequence[float], *, least: int, most: int) -> tuple[int, str]:
    """A size for pictures of these sides, and the sentence that says why.

    Args:
        sides: Of each picture: the root of its pixel count.
        least: Smaller pictures are enlarged to it.
        most: Larger ones are shrunk to it.

    >>> choose_size([28.0] * 9, least=8, most=160)
    (28, '90 % of the pictures have at most 28 x 28 pixels')
    >>> choose_size([28.0] * 9, least=96, most=160)
    (96, '90 % of the pictures have at most 28 x 28 pixels; enlarged to 96, the least that suits the trunk')
    """
    covered = max(1, round(float(np.quantile(sides, COVERED))))
    step = 4 if covered <= 32 else 8 if covered <= 64 else 16  # so that patches fit in
    rounded = -(-covered // step) * step
    because = f"{COVERED:.0%}".replace("%", " %") + f" of the pictures have at most {covered} x {covered} pixels"
    if rounded < least:
        return least, f"{because}; enlarged to {least}, the least that suits the trunk"
    if rounded > most:
        return (
            most,
            f"{because}; shrunk to {most} (model.read: {{image: {{size: {2 * most}}}}} sees more and takes longer)",
        )
    return rounded, because


def choose_patch(size: int) -> int:
    """The largest of the usual patches that divides `size` and leaves at least seven a side.

    >>> [choose_patch(size) for size in (8, 28, 32, 64, 96, 224)]
    [1, 4, 4, 8, 8, 16]
    """
    return next((patch for patch in (16, 8, 4, 2) if size % patch == 0 and size // patch >= CELLS), 1)
