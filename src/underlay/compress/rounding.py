"""Numbers of a matrix in eight bits."""

import numpy as np

LARGEST = 127
"""Magnitude of a weight; -128 is left out, so that both signs reach as far."""


def scaled(matrix: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix in eight bits, and the scale of each row or column; one of zeros has the scale 1.

    Args:
        matrix: `[in, out]`.
        axis: That is scaled as one: 0 gives a scale for each column, `[1, out]`; 1 one for each row, `[in, 1]`.

    >>> small, scale = scaled(np.array([[1.0, 0.0], [-0.5, 0.0]]), 0)
    >>> small.tolist(), scale.round(4).tolist()
    ([[127, 0], [-64, 0]], [[0.007899999618530273, 1.0]])
    """
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    return np.rint(matrix / scale).astype(np.int8), scale


def in_halves(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row in eight bits, and its scale as float16; as float32 where one is too large or too small for that.

    The scale is rounded up first, and the numbers are counted in it: what half a float cannot hold costs no precision.

    Args:
        rows: `[rows, width]`.

    >>> small, scale = in_halves(np.array([[1.0, -0.5]]))
    >>> small.tolist(), scale.dtype
    ([[127, -63]], dtype('float16'))
    """
    _, exact = scaled(rows, 1)
    room = np.finfo(np.float16)
    if exact.max(initial=0) >= room.max or exact.min(initial=1) < room.tiny:
        return scaled(rows, 1)
    half = exact.astype(np.float16)
    half = np.where(half < exact, np.nextafter(half, np.float16(np.inf)), half)
    return np.rint(rows / half.astype(np.float32)).astype(np.int8), half
