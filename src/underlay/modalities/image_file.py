"""The bytes of a picture, from whatever a cell holds: a path, a `data:` address, bytes, or both in one."""

import base64
import binascii
import errno
import os
import stat
from collections.abc import Mapping
from typing import Any

from underlay.core import RowError

MOST_BYTES = 32 << 20
"""A camera's JPEG has 5 to 15 MB."""

_REASONS = {
    errno.ENOENT: ("file_missing", "there is no file {path}", "check the path; relative ones start at the data file"),
    errno.ENOTDIR: ("file_missing", "there is no file {path}", "check the path; relative ones start at the data file"),
    errno.EACCES: ("file_permission", "{path} may not be read", "give this user permission to read it"),
    errno.EPERM: ("file_permission", "{path} may not be read", "give this user permission to read it"),
    errno.ELOOP: ("file_loop", "{path} is a link that leads back to itself", "replace the link with the file"),
    errno.ENAMETOOLONG: ("file_missing", "{path} is too long for a path", "is this the right column?"),
}


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
    return _address(value) if value[:5].lower() == "data:" else _file(value)


def _address(text: str) -> bytes:
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RowError(
            f"{text[:40]!r} is no data: address of a picture", "write data:image/png;base64,...", code="data_address"
        )
    if len(body) > MOST_BYTES // 3 * 4 + 4:
        raise _too_many(len(body) // 4 * 3)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise RowError(
            f"{text[:40]!r} goes on with what is no base64", "encode the file anew", code="data_address"
        ) from None


def _file(path: str) -> bytes:
    try:
        # without waiting, so that a pipe without a writer answers too
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        code, what, do = _REASONS.get(error.errno or 0, ("file_unreadable", f"{{path}}: {error.strerror}", "try again"))
        raise RowError(what.format(path=repr(path[:200])), do, code=code) from None
    except ValueError:
        raise RowError(f"{path[:200]!r} is no path", "is this the right column?", code="file_missing") from None
    try:
        kind = os.fstat(handle)
        if not stat.S_ISREG(kind.st_mode):
            found = "a folder" if stat.S_ISDIR(kind.st_mode) else "a device or a pipe"
            raise RowError(f"{path[:200]!r} is {found}, not a file", "name a picture", code="file_kind")
        if kind.st_size > MOST_BYTES:
            raise _too_many(kind.st_size)
        with open(handle, "rb", closefd=False) as file:
            return _within(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise RowError(
            f"{path[:200]!r} cannot be read: {error.strerror}", "copy it again", code="file_unreadable"
        ) from None
    finally:
        os.close(handle)


def _within(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise _too_many(len(data))
    return data


def _too_many(count: int) -> RowError:
    return RowError(
        f"the picture has {count:,} bytes; the most is {MOST_BYTES:,}", "make it smaller", code="image_too_large"
    )
