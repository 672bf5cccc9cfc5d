"""CSV and TSV, streamed: every cell a string, every row's line known, every bad row named."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from underlay.core import DataError
from underlay.data.dialect import Dialect, Record, physical_lines, records, sniff
from underlay.data.encodings import decoded, detect
from underlay.data.files import compression_of, digest_of, kind_of, open_bytes
from underlay.data.spill import IN_MEMORY_BYTES, cached, gathered
from underlay.data.table import Table

BLOCK = 4 << 20
"""Bytes read at once, and the longest row; Arrow reads up to 32 blocks ahead."""

_HEAD = 1 << 18
_LINES = "__line__"


def read_delimited(path: Path, *, cache: Path | None = None) -> Table:
    """Give the table of a CSV or TSV file, plain or compressed, in memory that does not grow with it.

    Args:
        path: The file; `.tsv` says tabs, else the delimiter is found.
        cache: Folder that keeps the converted rows of a large file.

    Raises:
        DataError: Empty, undecodable, ragged, with an open quote, with a row above 4 MiB; the line is named.
    """
    encoding = detect(lambda: open_bytes(path), path.name)
    notes = (encoding.note,) if encoding.note else ()
    with open_bytes(path) as file:
        text = decoded(file, encoding.codec)
        head = _head(text, path.name)
        dialect = sniff(head, path.name, tabs=kind_of(path) == ".tsv")
        if dialect.header_characters >= _HEAD:
            raise DataError(f"{path.name}, line 1: the header is longer than {_HEAD >> 10} KiB", "name columns shortly")
        digest = digest_of(path)
        key = f"{digest[:32]}-{kind_of(path).lstrip('.')}"
        arrow = cached(cache, key)
        if arrow is None:
            reading = _Reading(path, encoding.codec, dialect)
            rest = TextBytes(head[dialect.header_characters :], text)
            growth = 1 if compression_of(path) is None else 20
            large = path.stat().st_size * growth > IN_MEMORY_BYTES
            arrow = gathered(reading.batches(rest), reading.schema, large=large, cache=cache, key=key)
            notes = (*notes, *dialect.notes, *reading.notes())
        else:
            notes = (*notes, *dialect.notes)
    return Table(
        arrow.drop_columns([_LINES]),
        name=path.name,
        digest=digest,
        folder=path.parent,
        notes=notes,
        source=path,
        lines=arrow.column(_LINES),
    )


def _head(text: Iterator[str], name: str) -> str:
    head = ""
    for block in text:
        head += block
        if len(head) >= _HEAD:
            break
    if "\0" in head and head.count("\0") > len(head) // 20:
        raise DataError(f"{name} is not a text file (it is full of NUL bytes)", "pass CSV, TSV, JSONL or Parquet")
    return head


class TextBytes(io.RawIOBase):
    """UTF-8 bytes of decoded text, which remembers the last of them.

    Args:
        first: Text that comes before the rest.
        rest: Further text.
    """

    def __init__(self, first: str, rest: Iterator[str]) -> None:
        self._pending = memoryview(first.encode("utf-8"))
        self._rest = rest
        self._tail = b""

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """Fill the buffer as far as there is text."""
        while not len(self._pending):
            block = next(self._rest, None)
            if block is None:
                return 0
            self._pending = memoryview(block.encode("utf-8"))
        count = min(len(buffer), len(self._pending))
        piece = self._pending[:count]
        buffer[:count] = piece
        self._tail = (self._tail + bytes(piece[-_HEAD:]))[-_HEAD:]
        self._pending = self._pending[count:]
        return count

    def tail(self) -> str:
        """The last characters that were read."""
        return self._tail.decode("utf-8", "ignore")


@dataclass
class _Reading:
    """One pass over a file's rows; counts lines and keeps what went wrong."""

    path: Path
    codec: str
    dialect: Dialect
    blank: int = 0
    ragged: int = 0

    @property
    def schema(self) -> pa.Schema:
        """The columns and the line of each row."""
        return pa.schema([*((name, pa.string()) for name in self.dialect.header), (_LINES, pa.int64())])

    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        return (f"{self.path.name}: blank lines left out: {self.blank:,}",) if self.blank else ()

    def batches(self, source: "TextBytes") -> Iterator[pa.RecordBatch]:
        """Rows in batches, each with its line.

        Raises:
            DataError: A row has another number of cells than the header, or a quote stays open.
        """
        line, last = self.dialect.header_lines + 1, None
        for batch in self._parsed(source):
            if not batch.num_rows:
                continue
            lines, line = _lines(batch, line)
            whole = pa.RecordBatch.from_arrays([*batch.columns, pa.array(lines)], schema=self.schema)
            filled = _holds_something(batch)
            last = batch.slice(batch.num_rows - 1)
            blank = batch.num_rows - (pc.sum(filled).as_py() or 0)
            self.blank += blank
            yield whole.filter(filled) if blank else whole
        if self.ragged:
            self._explain(f"{self.ragged:,} rows have another number of cells than the header")
        if last is not None:
            self._require_closed(source.tail(), last)

    def _parsed(self, source: "TextBytes") -> Iterator[pa.RecordBatch]:
        names = list(self.dialect.header)
        try:
            reader = pacsv.open_csv(
                pa.PythonFile(io.BufferedReader(source, BLOCK), mode="r"),
                read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.dialect.delimiter,
                    quote_char='"' if self.dialect.quoting else False,
                    newlines_in_values=self.dialect.quoting,
                    ignore_empty_lines=False,
                    invalid_row_handler=self._note_ragged,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                ),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            self._explain(str(error))

    def _note_ragged(self, _: pacsv.InvalidRow) -> str:
        self.ragged += 1
        return "skip"

    def _require_closed(self, tail: str, last: pa.RecordBatch) -> None:
        newlines = int(sum(_newlines(column)[0] for column in last.columns))
        lines = physical_lines(tail)[-(newlines + 1) :]
        if not self.dialect.quoting or not any('"' in line for line in lines):
            return
        if any(found.open_at for found in records(lines, self.dialect.delimiter)):
            self._explain("a quote is never closed")

    def _explain(self, failure: str) -> NoReturn:
        """Walk over the file once more, slowly, and say where it goes wrong.

        Raises:
            DataError: Always.
        """
        name = self.path.name
        with open_bytes(self.path) as file:
            found = self._bad_records(file)
            first = next(found, None)
            if first is None:
                raise DataError(f"{name} cannot be read: {failure}", "look at the file in a text editor")
            more = sum(1 for _ in found)
        if first.open_at:
            raise DataError(
                f"{name}, line {first.open_at}: a quote opens and is never closed: {first.text[:80]!r}",
                'close it, or write a quote inside a quoted cell twice ("")',
                code="open_quote",
            )
        if first.characters > BLOCK:
            raise _too_long(name, first.line)
        until = f" to {first.line + first.lines - 1}" if first.lines > 1 else ""
        others = f" ({more:,} more such rows)" if more else ""
        raise DataError(
            f"{name}, line {first.line}{until}: {_cells(first.cells)}, the header has {len(self.dialect.header)}: "
            f"{first.text[:80]!r}{others}",
            f"quote cells that hold the delimiter {self.dialect.delimiter!r}, or add the missing cells",
            code="ragged_row",
        )

    def _bad_records(self, file: IO[bytes]) -> Iterator[Record]:
        lines = bounded_lines(decoded(file, self.codec, 1 << 20), self.path.name)
        for found in records(lines, self.dialect.delimiter, quoting=self.dialect.quoting):
            ragged = found.cells != len(self.dialect.header) and (found.text.strip() or found.lines > 1)
            if found.open_at or ragged or found.characters > BLOCK:
                yield found


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count:,} cells"


def _lines(batch: pa.RecordBatch, line: int) -> tuple[np.ndarray, int]:
    """First line of each row, and of the next batch; rows with quoted newlines take several."""
    taken = np.ones(batch.num_rows, np.int64)
    for column in batch.columns:
        taken += _newlines(column)
    ends = line + np.cumsum(taken)
    return ends - taken, int(ends[-1])


def _newlines(column: pa.Array) -> np.ndarray:
    """Line ends within each cell: LF, CR LF, and CR alone."""
    feeds, returns, both = (np.asarray(pc.count_substring(column, end)) for end in ("\n", "\r", "\r\n"))
    return np.asarray(feeds + returns - both, np.int64)


def _holds_something(batch: pa.RecordBatch) -> pa.Array:
    """Blank lines become rows of empty cells."""
    filled = pc.greater(pc.binary_length(batch.column(0)), 0)
    for column in batch.columns[1:]:
        filled = pc.or_(filled, pc.greater(pc.binary_length(column), 0))
    return filled


def bounded_lines(text: Iterator[str], name: str) -> Iterator[str]:
    """Physical lines with their ends, from blocks of text.

    Raises:
        DataError: A line is longer than a row may be.
    """
    pending, number = "", 0
    for block in text:
        lines = physical_lines(pending + block)
        pending = lines.pop() if lines else ""
        number += len(lines)
        yield from lines
        if len(pending) > BLOCK:
            raise _too_long(name, number + 1)
    if pending:
        yield pending


def _too_long(name: str, line: int) -> DataError:
    return DataError(
        f"{name}, line {line}: the row is longer than {BLOCK >> 20} MiB",
        "is a quote left open, or the wrong file named? Give long documents a file each",
        code="row_too_long",
    )
