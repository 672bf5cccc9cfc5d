"""Bytes of data files: what may be opened at all, decompression, digests."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from underlay.core import BundleRefused, DataError, UsageError

_BLOCK = 1 << 20
_RATIO = 100  # what a file may grow to by decompression, beyond the first 64 MiB
_FREE_BYTES = 64 << 20
_EXECUTABLE = {
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".pt": "a pickle of PyTorch",
    ".pth": "a pickle of PyTorch",
    ".joblib": "a pickle of joblib",
    ".npy": "a NumPy file, which may hold a pickle",
    ".xlsm": "a spreadsheet with macros",
    ".xlsb": "a spreadsheet with macros",
    ".xls": "a spreadsheet that may hold macros",
}
_PICKLE = re.compile(rb"\x80[\x02-\x05](?:[\x95c}(\]]|\x8c)")
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"%PDF": "a PDF",
}
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")


def require_local(source: str) -> None:
    """Refuse whatever names another machine; nothing is ever connected to.

    Raises:
        UsageError: It is a URL.
    """
    if _SCHEME.match(source) and not Path(source).exists():
        raise UsageError(
            f"{source!r} is a URL; data is read from files only",
            "download it yourself and pass the file, or use sample:NAME or hf:NAME",
            code="url",
        )


def require_safe(path: Path) -> None:
    """Refuse files that could run code when they are read, by ending and by first bytes; nothing is read of them.

    Raises:
        BundleRefused: A pickle, a NumPy file, a spreadsheet with macros.
        DataError: It is not there, or a format that is not read.
    """
    kind = _EXECUTABLE.get(path.suffix.lower())
    start = _first_bytes(path)
    if kind is None and start.startswith(b"\x93NUMPY"):
        kind = _EXECUTABLE[".npy"]
    if kind is None and _PICKLE.match(start):
        kind = "a pickle"
    if kind is not None:
        raise BundleRefused(
            f"{path.name} is {kind}: reading it could run code, so it is not opened",
            "export the data as CSV, JSONL or Parquet",
            code="unsafe_file",
        )
    for magic, foreign in _FOREIGN.items():
        if start.startswith(magic):
            raise DataError(f"{path.name} is {foreign}", "save it as CSV (UTF-8) and pass that", code="file_kind")


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except FileNotFoundError as error:
        raise DataError(f"there is no file or folder {path}", "check the path", code="not_found") from error


def kind_of(path: Path) -> str:
    """The ending that says the format, below a compression's: `.csv` for `reviews.csv.gz`.

    >>> kind_of(Path("reviews.CSV.gz"))
    '.csv'
    """
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in (".gz", ".zst", ".zstd"):
        endings.pop()
    return endings[-1] if endings else ""


def compression_of(path: Path) -> str | None:
    """`gzip` or `zstd` by the first bytes, whatever the name says; None for plain files."""
    start = _first_bytes(path)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed, in a stream that says what is wrong with a damaged one."""
    compression = compression_of(path)
    if compression is None:
        with path.open("rb") as file:
            yield file
        return
    if compression == "gzip":
        with gzip.open(path, "rb") as file:
            yield Bounded(file, path)  # type: ignore[misc,arg-type]
    else:
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as file:
            yield Bounded(file, path)  # type: ignore[misc]


class Bounded:
    """A decompressing stream that stops before a small file fills the machine."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._most = max(_FREE_BYTES, path.stat().st_size * _RATIO)
        self._given = 0

    def read(self, size: int = _BLOCK) -> bytes:
        """Up to `size` bytes.

        Raises:
            DataError: The file has grown beyond 100 times its size, or is damaged.
        """
        try:
            block: bytes = self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{self._path.name} is damaged or cut short: {error}", "copy it again from its source"
            ) from error
        self._given += len(block)
        if self._given > self._most:
            raise DataError(
                f"{self._path.name} grows beyond {_RATIO} times its size when decompressed",
                "decompress it yourself if it is what you expect, and pass the result",
                code="decompression_bomb",
            )
        return block


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and bytes of everything in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for inner in sorted(inner for inner in path.rglob("*") if inner.is_file()):
        digest.update(f"{inner.relative_to(path).as_posix()}\0{digest_of(inner)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
