"""Samples of pictures: grey levels in text files -> PNG bytes."""

import gzip
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def digits(content: bytes) -> Mapping[str, list[Any]]:
    """One digit a line: 64 grey levels of 0 to 16, then the label."""
    return _table(content, side=8, brightest=16)


def mnist(content: bytes) -> Mapping[str, list[Any]]:
    """One digit a line: 784 grey levels of 0 to 255, then the label."""
    return _table(content, side=28, brightest=255)


def grey_png(levels: np.ndarray) -> bytes:
    """A PNG of grey levels, the same bytes on every machine: stored, not compressed.

    Args:
        levels: uint8 `[H, W]`.

    >>> grey_png(np.zeros((2, 3), np.uint8))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'

    Source: PNG (Third Edition), sec. 5 and 11.
    """
    height, width = levels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1)  # filter 0 before each row
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _table(content: bytes, *, side: int, brightest: int) -> Mapping[str, list[Any]]:
    lines = gzip.decompress(content).decode("ascii").split()
    rows = np.array([line.split(",") for line in lines], np.float64)
    levels = np.round(rows[:, :-1] * (255 / brightest)).astype(np.uint8).reshape(-1, side, side)
    return {
        "id": [str(number) for number in range(1, len(rows) + 1)],
        "image": [grey_png(picture) for picture in levels],
        "label": [str(int(label)) for label in rows[:, -1]],
    }
