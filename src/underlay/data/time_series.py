"""`.ts` files of the sktime and aeon archives: one series a line, with or without a label."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from underlay.core import DataError
from underlay.data.files import digest_of, open_bytes
from underlay.data.spill import IN_MEMORY_BYTES, cached, gathered
from underlay.data.table import Table

_BATCH_ROWS = 1_024
_LINE = 64 << 20
"""Bytes of the longest line: eight channels of a million values."""

_HEADER_LINES = 10_000
_MISSING = ("?", "nan", "NaN")
_KEYS = ("problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength",
         "serieslength", "classlabel", "targetlabel")  # fmt: skip


@dataclass
class Header:
    """What the lines above `@data` say.

    Args:
        keys: Lower-case name -> words after it.
        lines: Lines up to and with `@data`.
    """

    keys: dict[str, list[str]] = field(default_factory=dict)
    lines: int = 0

    def says(self, key: str) -> bool:
        """Whether a key is there and true."""
        return (self.keys.get(key) or [""])[0].lower() == "true"

    @property
    def labels(self) -> tuple[str, ...]:
        """Of `@classLabel true a b c`."""
        return tuple(self.keys.get("classlabel", [])[1:]) if self.says("classlabel") else ()

    @property
    def labelled(self) -> bool:
        """Whether each line ends with a label or a number to predict."""
        return self.says("classlabel") or self.says("targetlabel")


def read_time_series(path: Path, *, cache: Path | None = None) -> Table:
    """Give the table of a `.ts` file: `series`, and `label` where the file has labels; `?` is a missing value.

    A file of one channel gives lists of numbers, one of several lists of channels; lengths may differ by row.

    Args:
        path: The file, plain or compressed.
        cache: Folder that keeps the rows of a large file for the next run.

    Raises:
        DataError: No `@data`, time stamps, a value that is no number, another number of channels, an unknown label;
            the line is named.
    """
    digest = digest_of(path)
    key = f"{digest[:32]}-ts"
    with open_bytes(path) as file:
        lines = _lines(file, path.name)
        reading = _Reading(path.name, _header(lines, path.name), lines)
        first = next(reading.rows(), None)
        if first is None:
            raise DataError(f"{path.name} has no line behind @data", "add rows", code="no_rows")
        schema = reading.schema(first)
        arrow = cached(cache, key)
        if arrow is None or arrow.schema != schema:
            large = path.stat().st_size > IN_MEMORY_BYTES
            arrow = gathered(reading.batches(first, schema), schema, large=large, cache=cache, key=key)
    table = arrow.drop_columns(["__line__"])
    name = " ".join(reading.header.keys.get("problemname", []))
    channels = f"{reading.channels} {'channel' if reading.channels == 1 else 'channels'}"
    note = f"{path.name}: series of {channels}{f', problem {name}' if name else ''}"
    return Table(
        table,
        name=path.name,
        digest=digest,
        folder=path.parent,
        notes=(note,),
        source=path,
        lines=arrow.column("__line__"),
    )


def parse_time_series(content: bytes, name: str) -> Mapping[str, list[Any]]:
    """The columns of a small `.ts` file in memory, by name.

    >>> parse_time_series(b"@classLabel true a b\\n@data\\n1,?,3:a\\n", "x.ts")
    {'series': [[1.0, None, 3.0]], 'label': ['a']}
    """
    lines = iter(enumerate(content.decode("utf-8").splitlines(), start=1))
    reading = _Reading(name, _header(lines, name), lines)
    rows = list(reading.rows())
    columns: dict[str, list[Any]] = {"series": [row[0] for row in rows]}
    return columns | ({"label": [row[1] for row in rows]} if reading.header.labelled else {})


def _lines(file: Any, name: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without their ends."""
    pending, number = b"", 0
    while block := file.read(1 << 20):
        *whole, pending = (pending + bytes(block)).split(b"\n")
        for line in whole:
            number += 1
            yield number, _decoded(line, name, number)
        if len(pending) > _LINE:
            raise DataError(f"{name}, line {number + 1} is longer than {_LINE >> 20} MiB", "split the series")
    if pending.strip():
        yield number + 1, _decoded(pending, name, number + 1)


def _decoded(line: bytes, name: str, number: int) -> str:
    try:
        return line.rstrip(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}, line {number} is not UTF-8: {error}", "save the file as UTF-8") from None


def _header(lines: Iterator[tuple[int, str]], name: str) -> Header:
    header = Header()
    for number, line in lines:
        words = line.split()
        if not words or words[0].startswith(("#", "%")):
            continue
        key = words[0].lower().removeprefix("@")
        if not words[0].startswith("@") or number > _HEADER_LINES:
            raise DataError(
                f"{name}, line {number}: {line[:60]!r} stands before @data",
                "a .ts file begins with lines like '@univariate true', then '@data'; is this another format?",
                code="ts_header",
            )
        if key == "data":
            header.lines = number
            break
        if key in header.keys:
            raise DataError(f"{name}, line {number}: @{key} appears twice", "keep one of them", code="ts_header")
        if key in _KEYS:
            header.keys[key] = words[1:]
    else:
        raise DataError(f"{name} has no line @data", "is it a .ts file of time series?", code="ts_header")
    if header.says("timestamps"):
        raise DataError(
            f"{name} has time stamps (@timeStamps true), which are not read",
            "write evenly sampled values, or JSONL rows with {'time': [...], 'value': [...]}",
            code="ts_timestamps",
        )
    return header


@dataclass
class _Reading:
    """The lines behind `@data`."""

    name: str
    header: Header
    lines: Iterator[tuple[int, str]]
    channels: int = 0

    def schema(self, first: tuple[Any, str | None, int]) -> pa.Schema:
        """Of the columns, by the first row."""
        one = pa.list_(pa.float64())
        series = pa.field("series", pa.list_(one) if isinstance(first[0][0], list) else one)
        label = [pa.field("label", pa.string())] if self.header.labelled else []
        return pa.schema([series, *label, pa.field("__line__", pa.int64())])

    def rows(self) -> Iterator[tuple[Any, str | None, int]]:
        """Series, label and line of each row."""
        for number, line in self.lines:
            text = line.strip()
            if text and not text.startswith(("#", "%")):
                yield self._row(text, number)

    def batches(self, first: tuple[Any, str | None, int], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The first row and the rest, in batches."""
        rows = [first]
        for row in self.rows():
            rows.append(row)
            if len(rows) == _BATCH_ROWS:
                yield self._batch(rows, schema)
                rows = []
        if rows:
            yield self._batch(rows, schema)

    def _batch(self, rows: list[tuple[Any, str | None, int]], schema: pa.Schema) -> pa.RecordBatch:
        places = (0, 1, 2) if self.header.labelled else (0, 2)
        arrays = [pa.array([row[at] for row in rows], kind.type) for at, kind in zip(places, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _row(self, text: str, number: int) -> tuple[Any, str | None, int]:
        pieces = text.split(":")
        label = None
        if self.header.labelled:
            label = pieces.pop().strip()
            if not pieces:
                self._refuse(number, "one part alone, where a series and a label belong", "write VALUES:LABEL")
            if not label or label in _MISSING:
                label = None
            elif self.header.labels and label not in self.header.labels:
                self._refuse(
                    number,
                    f"the label {label!r} is none of {', '.join(self.header.labels[:12])}",
                    "correct @classLabel",
                )
        channels = [self._numbers(piece, number) for piece in pieces]
        self.channels = self.channels or len(channels)
        if len(channels) != self.channels:
            self._refuse(
                number, f"{len(channels)} channels, the rows above have {self.channels}", "separate channels by colons"
            )
        several = self.channels > 1 or (self.header.keys.get("univariate") or [""])[0].lower() == "false"
        return channels if several else channels[0], label, number

    def _numbers(self, piece: str, number: int) -> list[float | None]:
        if piece.lstrip().startswith("("):
            self._refuse(number, "values with time stamps", "write values alone, evenly sampled")
        found: list[float | None] = []
        for place, word in enumerate(piece.split(",")):
            bare = word.strip()
            if bare in _MISSING:
                found.append(None)
                continue
            try:
                found.append(float(bare.replace("_", " ")))  # Python's 1_000 is no number of a data file
            except ValueError:
                self._refuse(number, f"value {place + 1} is {bare[:40]!r}", "write a number, or ? where one is missing")
        return found

    def _refuse(self, number: int, what: str, do: str) -> NoReturn:
        raise DataError(f"{self.name}, line {number}: {what}", do, code="ts_row")
