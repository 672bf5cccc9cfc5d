"""Tables as files: the ending decides the format, and a file is whole or absent."""

import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from underlay.core import UsageError
from underlay.core.durable import resource_errors, staging, sync_folder, sync_tree

Writer: TypeAlias = Callable[[pa.Table, Any], None]

SLICE = 1 << 14
"""Rows held as Python values at once."""


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as `.csv`, `.tsv`, `.jsonl`, `.parquet` or `.arrow`; text formats also `.gz` and `.zst`.

    Raises:
        UsageError: The ending is another one.
        ResourceError: The disk is full or cannot be written; what stood at `path` still does.
    """
    write = writer_of(path)
    with published(path) as part, pa.output_stream(part, compression="detect") as sink:
        write(table, sink)


@contextlib.contextmanager
def published(path: Path) -> Iterator[Path]:
    """A file to fill, of the same name in a folder beside, that stands at `path` once it is on disk.

    Raises:
        ResourceError: The disk is full or cannot be written; what stood at `path` still does.
    """
    with staging(path) as folder, resource_errors(path):
        part = folder / path.name
        yield part
        sync_tree(folder)
        part.replace(path)
        sync_folder(path.parent)


def print_table(table: pa.Table, *, like: str = "") -> None:
    """Write a table to stdout in the text format of the file name `like`, CSV if that is no text format."""
    ending = format_of(Path(like))
    sys.stdout.flush()
    WRITERS[ending if ending in ("tsv", "jsonl") else "csv"](table, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def format_of(path: Path) -> str:
    """The format a file name stands for, without compression: `reviews.csv.gz` is `csv`."""
    endings = [ending.lstrip(".").lower() for ending in path.suffixes]
    if endings and endings[-1] in ("gz", "zst"):
        endings.pop()
    return endings[-1] if endings else ""


def writer_of(path: Path) -> Writer:
    """What writes a table under this name.

    Raises:
        UsageError: Nothing does.
    """
    ending = format_of(path)
    if ending not in WRITERS:
        raise UsageError(f"a table cannot be written as {path.name!r}", f"end the name in .{', .'.join(WRITERS)}")
    return WRITERS[ending]


def _delimited(delimiter: str) -> Writer:
    def write(table: pa.Table, sink: IO[bytes]) -> None:
        text = io.TextIOWrapper(sink, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        rows.writerow(table.column_names)
        for start in range(0, table.num_rows, SLICE):
            columns = [map(_cell, column.to_pylist()) for column in table.slice(start, SLICE).columns]
            rows.writerows(zip(*columns, strict=True))
        text.detach()

    return write


def _jsonl(table: pa.Table, sink: IO[bytes]) -> None:
    for start in range(0, table.num_rows, SLICE):
        for row in table.slice(start, SLICE).to_pylist():
            sink.write((json.dumps(_readable(row), ensure_ascii=False, default=str) + "\n").encode("utf-8", "replace"))


def _readable(value: Any) -> Any:
    """A value as a text file can hold it: bytes, a picture or a recording, by how many they are."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, dict):
        return {key: _readable(inner) for key, inner in value.items()}
    return value


def _cell(value: Any) -> Any:
    """A value as one cell: a list as JSON, which can be read back."""
    if isinstance(value, list):
        return json.dumps(_readable(value), ensure_ascii=False, default=str)
    return _readable(value)


def _parquet(table: pa.Table, sink: IO[bytes]) -> None:
    pq.write_table(table, sink)


def _arrow(table: pa.Table, sink: IO[bytes]) -> None:
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)


WRITERS: Mapping[str, Writer] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "jsonl": _jsonl,
    "parquet": _parquet,
    "arrow": _arrow,
}
