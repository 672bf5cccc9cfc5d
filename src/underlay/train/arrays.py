"""Arrays on disk, where a full disk is an error that says so."""

import errno
import os
from pathlib import Path

import numpy as np


def save_array(path: Path, array: np.ndarray) -> None:
    """`numpy.save`, whose short writes on a full disk come without an error number.

    Raises:
        OSError: With its number, `ENOSPC` where the array was not written whole.
    """
    try:
        np.save(path, array)
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def reserve_array(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> np.memmap:
    """A mapped array whose blocks are there: writing to a mapped file on a full disk would kill the process.

    Raises:
        OSError: The disk has not enough blocks.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with path.open("wb") as file:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
    return np.memmap(path, dtype, mode="r+", shape=shape)
