"""The bytes of a picture, from whatever a cell holds: a path, a `data:` address, bytes, or both in one."""

import os
from collections.abc import Mapping
from typing import Any

from underlay.core import RowError
from underlay.modalities.cell_files import address_bytes, address_parts, is_address, open_file

MOST_BYTES = 32 << 20
"""A camera's JPEG has 5 to 15 MB."""


def read_bytes(value: Any) -> bytes:
    """The bytes a cell stands for; nothing is decoded.

    Args:
        value: A path, a `data:image/...;base64,` address, bytes, or a mapping with `bytes` or `path`.

    Raises:
        RowError: Nothing there, no such file, not a file, or more than 32 MiB.
    """
    if isinstance(value, Mapping):  # how `datasets` and Parquet files of pictures hold them
        inner = value.get("bytes")
        value = value.get("path") if inner is None else inner
    if value is None or (isinstance(value, float) and value != value):
        raise RowError("the picture is missing", "give a path, bytes or a data: address", code="missing_image")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _within(bytes(value))
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise RowError(
            f"a picture is needed; found {value!r:.60} ({type(value).__name__})",
            "give a path, bytes, a data: address or a uint8 array [H, W, 3]",
            code="not_image",
        )
    if not value.strip():
        raise RowError("the picture is missing: the cell is empty", "give a path", code="missing_image")
    return _address(value) if is_address(value) else _file(value)


def _address(text: str) -> bytes:
    body = address_parts(text, noun="picture", example="data:image/png;base64,")
    if len(body) > MOST_BYTES // 3 * 4 + 4:
        raise _too_many(len(body) // 4 * 3)
    return address_bytes(body, noun="picture")


def _file(path: str) -> bytes:
    with open_file(path, noun="picture") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise _too_many(size)
        try:
            return _within(file.read(MOST_BYTES + 1))
        except OSError as error:
            raise RowError(
                f"{path[-160:]!r} cannot be read: {error.strerror}", "copy it again", code="file_unreadable"
            ) from None


def _within(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise _too_many(len(data))
    return data


def _too_many(count: int) -> RowError:
    return RowError(
        f"the picture has {count:,} bytes; the most is {MOST_BYTES:,}", "make it smaller", code="image_too_large"
    )
