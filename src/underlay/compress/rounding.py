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
