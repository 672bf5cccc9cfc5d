"""The file that a cell names, or holds as a `data:` address: opened without waiting, refused where it is none."""

import base64
import binascii
import errno
import os
import stat
from typing import BinaryIO

from underlay.core import RowError

_SHOWN = 160
"""Characters of a path in a message: its end says most."""

_MISSING = ("file_missing", "there is no file {path}", "check the path; relative ones start at the data file")
_DENIED = ("file_permission", "{path} may not be read", "give this user permission to read it")
_REASONS = {
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ELOOP: ("file_loop", "{path} is a link that leads back to itself", "replace the link with the file"),
    errno.ENAMETOOLONG: ("file_missing", "{path} is too long for a path", "is this the right column?"),
}


def open_file(path: str | bytes, *, noun: str) -> BinaryIO:
    """The regular file of this path, open for reading; whoever asked closes it.

    Args:
        path: As the cell has it.
        noun: What should be in it, for people: `picture`.

    Raises:
        RowError: There is none, it may not be read, or it is a folder, a device or a pipe.
    """
    shown = repr(path if len(path) <= _SHOWN else path[-_SHOWN:])
    try:
        # without waiting, so that a pipe without a writer answers too
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        code, what, do = _REASONS.get(error.errno or 0, ("file_unreadable", f"{{path}}: {error.strerror}", "try again"))
        raise RowError(what.format(path=shown), do, code=code) from None
    except ValueError:  # a zero byte, or half a character
        raise RowError(f"{shown} is no path", "is this the right column?", code="file_missing") from None
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        found = "a folder" if stat.S_ISDIR(kind) else "a device or a pipe"
        raise RowError(f"{shown} is {found}, not a file", f"name a {noun}", code="file_kind")
    return os.fdopen(handle, "rb")


def is_address(text: str) -> bool:
    """Whether a string holds a file itself.

    >>> is_address("data:image/png;base64,iVBO"), is_address("data/1.png")
    (True, False)
    """
    return text[:5].lower() == "data:"


def address_parts(text: str, *, noun: str, example: str) -> str:
    """The base64 of a `data:` address.

    Args:
        text: The address.
        noun: What should be in it, for people.
        example: How such an address begins: `data:image/png;base64,`.

    Raises:
        RowError: It is written otherwise.
    """
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RowError(f"{text[:40]!r} is no data: address of a {noun}", f"write {example}...", code="data_address")
    return body


def address_bytes(body: str, *, noun: str) -> bytes:
    """What the base64 of an address stands for.

    Raises:
        RowError: It is none.
    """
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise RowError(
            f"a data: address of a {noun} goes on with what is no base64: {body[:24]!r}",
            "encode the file anew",
            code="data_address",
        ) from None
