"""Files and folders that are whole or absent after any crash: written beside, synced, renamed once."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from underlay.core.errors import OutputExists, ResourceError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Put `data` at `path`: afterwards, and after any crash, there is the old file or the new one.

    Readable and writable by the owner alone, whatever the umask.

    Raises:
        ResourceError: `disk_full`, `read_only` or `disk_error`; nothing of the new file is left.
    """
    with resource_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        sync_folder(path.parent)


@contextlib.contextmanager
def staging(final: Path) -> Iterator[Path]:
    """A fresh folder beside `final` to fill and then `publish_folder`; what is left of it at the end is removed.

    What dead processes left of theirs is removed first; the folder of a living one is locked and stays.

    Raises:
        ResourceError: The folder cannot be made.
    """
    with resource_errors(final.parent):
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        folder, lock = _fresh(final)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def publish_folder(staging: Path, final: Path, *, replace: bool = False) -> None:
    """Make `staging` appear at `final` by one rename, contents on disk before, the name after.

    Args:
        staging: A complete folder on the same file system; gone afterwards.
        final: Where readers look.
        replace: Whether what stands there goes; a reader sees the old or the new, never neither.

    Raises:
        OutputExists: Something stands at `final` and `replace` is false; nothing changed.
        ResourceError: The disk failed; `final` is what it was.
    """
    with resource_errors(final):
        sync_tree(staging)
        if replace and os.path.lexists(final):
            _exchange(staging, final)
            sync_folder(final.parent)
            _remove(staging)
            return
        try:
            os.rename(staging, final)
        except OSError as error:
            if error.errno in _TAKEN:
                raise OutputExists(f"{final} exists already", "pass --force to replace it, or another --out") from error
            raise
        sync_folder(final.parent)


def sync_tree(folder: Path) -> None:
    """Return when every file and folder below `folder` is on disk.

    Raises:
        ResourceError: The disk failed; what it holds of the folder is unknown, so write it again from the start.
    """
    with resource_errors(folder):
        for parent, _, names in os.walk(folder, topdown=False):
            for name in names:
                _sync(Path(parent, name), os.O_RDONLY)
            sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on disk."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


@contextlib.contextmanager
def resource_errors(path: Path) -> Iterator[None]:
    """Turn the disk's errors into `ResourceError` that name `path`; other errors pass."""
    try:
        yield
    except OSError as error:
        raise _explain(error, path) from error


def _explain(error: OSError, path: Path) -> ResourceError:
    if error.errno in _FULL:
        return ResourceError(f"no space left to write {path}", "free some disk space and run again", code="disk_full")
    if error.errno in _DENIED:
        return ResourceError(
            f"{path} cannot be written: {error.strerror}", "choose a writable folder", code="read_only"
        )
    return ResourceError(f"the disk failed at {path}: {error.strerror or error}", "check the disk", code="disk_error")


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(staging: Path, final: Path) -> None:
    """Swap the two names in one step where the kernel can, in two where it cannot."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if (
        swap is not None
        and swap(_AT_FDCWD, os.fsencode(staging), _AT_FDCWD, os.fsencode(final), ctypes.c_uint(_RENAME_EXCHANGE)) == 0
    ):
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{final.name}.replaced-", dir=final.parent)) / "old"
    os.rename(final, aside)
    os.rename(staging, final)
    _remove(aside.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _prefix(final: Path) -> str:
    return f".{final.name}.partial-"


def _fresh(final: Path) -> tuple[Path, int]:
    """An empty folder beside `final` and the handle that locks it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(final), dir=final.parent))
        with contextlib.suppress(FileNotFoundError):  # swept by another process between the two calls
            lock = _locked(folder)
            if lock is not None and folder.exists():
                return folder, lock


def _sweep(final: Path) -> None:
    for left in final.parent.iterdir():
        if not left.name.startswith(_prefix(final)) or left.is_symlink() or not left.is_dir():
            continue
        lock = _locked(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def hold(path: Path) -> int | None:
    """A handle that holds a lock file until it is closed or its process dies; None where another process holds it.

    Args:
        path: Made, for its owner alone, if it is not there.

    Raises:
        ResourceError: It cannot be made.
    """
    with resource_errors(path):
        return _held(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _locked(folder: Path) -> int | None:
    """An open handle that holds the folder's lock until it is closed or its process dies; None where another has it."""
    return _held(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))


def _held(handle: int) -> int | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
