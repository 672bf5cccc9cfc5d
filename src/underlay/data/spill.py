"""Where batches of rows go while a file is read: memory for small files, a mapped Arrow file for large ones."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from underlay.core import ResourceError
from underlay.core.wheels import cache_folder

IN_MEMORY_BYTES = 32 << 20
_PART_ROWS = 1 << 16


def gathered(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, large: bool, cache: Path | None, key: str
) -> pa.Table:
    """Collect batches into one table without holding a large one in memory.

    Args:
        batches: All of `schema`.
        schema: Of the result.
        large: Write to a file and map it.
        cache: Folder that keeps the file for the next run; None: a nameless file that vanishes with the process.
        key: What identifies the content (a digest and how it was read).

    Raises:
        ResourceError: The disk is full or the folder cannot be written.
    """
    if not large:
        return pa.Table.from_batches(list(batches), schema)
    folder = cache if cache is not None else cache_folder() / "tables"
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, prefix=".table-", suffix=".part")
        os.close(handle)
        try:
            _write(Path(part), batches, schema)
            if cache is not None:
                os.replace(part, cached_file(cache, key))
                return mapped(cached_file(cache, key))
            return mapped(Path(part))
        finally:
            Path(part).unlink(missing_ok=True)  # a mapped file stays readable without its name


def cached(cache: Path | None, key: str) -> pa.Table | None:
    """The table that an earlier run left under `key`, or None."""
    if cache is None or not cached_file(cache, key).exists():
        return None
    try:
        return mapped(cached_file(cache, key))
    except (pa.ArrowInvalid, OSError):
        return None


def cached_file(cache: Path, key: str) -> Path:
    """Where a table is kept."""
    return cache / f"{key}.arrow"


def mapped(path: Path) -> pa.Table:
    """The table in an Arrow file, mapped into memory rather than read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            for start in range(0, batch.num_rows, _PART_ROWS):
                writer.write_batch(batch.slice(start, _PART_ROWS))


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == 28
        raise ResourceError(
            f"cannot write {folder}: {'the disk is full' if full else error.strerror or error}",
            "free some space, or point UNDERLAY_CACHE to another folder",
            code="disk_full" if full else "resources",
        ) from error
