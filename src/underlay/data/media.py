"""What the bytes in a column are: pictures or recordings, told by how they begin."""

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from underlay.data.table import taken

IMAGE_ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"))
AUDIO_ENDINGS = frozenset((".wav", ".flac", ".ogg", ".mp3"))

_CELLS = 64
"""Cells looked at: each may hold megabytes."""


def medium_of(head: bytes) -> str | None:
    """`image`, `audio`, or None for the first bytes of a file.

    >>> medium_of(b"\\x89PNG\\r\\n\\x1a\\n"), medium_of(b"OggS\\x00"), medium_of(b"PAR1")
    ('image', 'audio', None)
    """
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")):
        return "image"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image", b"WAVE": "audio"}.get(head[8:12])
    if head.startswith((b"fLaC", b"OggS", b"ID3", b"RF64")):
        return "audio"
    sync = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0  # of an MPEG frame
    return "audio" if sync and head[1] >> 1 & 3 != 0 else None


def medium_of_path(path: str) -> str | None:
    """`image`, `audio`, or None for a file's name or a `data:` address.

    >>> medium_of_path("a/b.FLAC"), medium_of_path("a sentence.")
    ('audio', None)
    """
    for medium in ("image", "audio"):
        if path.startswith(f"data:{medium}/"):
            return medium
    ending = PurePosixPath(path).suffix.lower()
    return "image" if ending in IMAGE_ENDINGS else "audio" if ending in AUDIO_ENDINGS else None


def column_medium(column: pa.ChunkedArray) -> str | None:
    """What a column of bytes, or of structs that hold a file or samples, is; None where cells differ or say nothing."""
    if not (is_bytes(column.type) or pa.types.is_struct(column.type)):
        return None
    rows = np.unique(np.linspace(0, len(column) - 1, min(_CELLS, len(column))).astype(np.int64))
    found = {_medium(cell) for cell in taken(column, rows).to_pylist() if cell is not None}
    return found.pop() if len(found) == 1 else None


def is_bytes(kind: pa.DataType) -> bool:
    """Whether cells of this type are bytes, of any length."""
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(test(kind) for test in tests)


def _medium(cell: Any) -> str | None:
    if isinstance(cell, bytes):
        return medium_of(cell[:64])
    if cell.get("array") is not None and cell.get("sampling_rate") is not None:
        return "audio"
    if isinstance(cell.get("bytes"), bytes):
        return medium_of(cell["bytes"][:64])
    return medium_of_path(cell["path"]) if isinstance(cell.get("path"), str) else None
