"""Rows and columns as Arrow, with where they came from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.core import DataChanged, MissingColumn

_SLICE = 1 << 16


@dataclass(frozen=True)
class Table:
    """A data set as it was read; cells of CSV and TSV are strings, typed files keep their types.

    Args:
        arrow: The columns; memory-mapped where the source is a large file.
        name: How messages call it: `reviews.csv`, `sample:tweets`, `memory`.
        digest: SHA-256 of the source's bytes, or of the content of a table from memory.
        folder: Relative paths in cells resolve against it.
        notes: What reading found and a person should know: encoding, delimiter, renamed columns.
        source: The file or folder, None for tables from memory.
        lines: First physical line of each row; None where rows are not lines.
        gathered: How its series or events lay before they were gathered into one column, as `data` of a recipe says it.

    >>> Table(pa.table({"text": ["a", "b"]}), name="memory").place(1)
    'memory, row 2'
    """

    arrow: pa.Table
    name: str = "memory"
    digest: str = ""
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    source: Path | None = None
    lines: pa.ChunkedArray | None = field(default=None, repr=False)
    gathered: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names, in the order of the source."""
        return tuple(self.arrow.column_names)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column.

        Raises:
            MissingColumn: There is none of that name.
        """
        if name not in self.arrow.column_names:
            raise MissingColumn(self.name, name, self.columns)
        return self.arrow.column(name)

    def values(self, name: str, rows: Sequence[int] | np.ndarray | None = None) -> list[Any]:
        """Python values of one column, of these rows or all."""
        column = self.column(name)
        return list((column if rows is None else taken(column, rows)).to_pylist())

    def place(self, row: int) -> str:
        """Where a row stands in its source, for messages: `reviews.csv, line 17`."""
        if self.lines is not None:
            return f"{self.name}, line {self.lines[row].as_py()}"
        return f"{self.name}, row {row + 1}"

    def take(self, rows: Sequence[int] | np.ndarray) -> "Table":
        """The table of these rows alone."""
        columns = {name: taken(self.arrow.column(name), rows) for name in self.columns}
        lines = None if self.lines is None else taken(self.lines, rows)
        return replace(self, arrow=pa.table(columns), lines=lines)

    def with_merged(self, name: str, names: Mapping[str, str]) -> "Table":
        """The table with some spellings of column `name` replaced (`{"yes ": "Yes"}`)."""
        old = label_strings(self.column(name))
        where = pc.index_in(old, pa.array(list(names), pa.string()))
        merged = pc.coalesce(pc.take(pa.array(list(names.values()), pa.string()), where), old)
        return replace(self, arrow=self.arrow.set_column(self.columns.index(name), name, merged))

    def with_files(self, names: Sequence[str]) -> "Table":
        """The table with the relative paths in these columns resolved against the folder of the source.

        Addresses with a scheme (`data:`), empty cells and columns that hold no strings stay as they are.
        """
        found = self
        for name in names:
            column = found.column(name)
            if self.folder is None or column.type != pa.string():
                continue
            alone = pc.match_substring_regex(column, r"^(/|\s*$|[A-Za-z][A-Za-z0-9+.-]+:)")
            based = pc.binary_join_element_wise(pa.scalar(str(self.folder)), column, "/")
            resolved = pc.if_else(pc.fill_null(alone, True), column, based)
            found = replace(found, arrow=found.arrow.set_column(self.columns.index(name), name, resolved))
        return found

    def require_unchanged(self) -> None:
        """Read the source once more and compare its digest.

        Raises:
            DataChanged: It is not what was read at first, or is gone.
        """
        if self.source is None:
            return
        from underlay.data.files import digest_of

        now = digest_of(self.source) if self.source.exists() else "gone"
        if now != self.digest:
            raise DataChanged(
                f"{self.name} changed while it was in use (digest {self.digest[:12]}, now {now[:12]})",
                "run again on a file that nothing writes to",
            )


def taken(column: pa.ChunkedArray, rows: Sequence[int] | np.ndarray) -> pa.ChunkedArray:
    """These rows of a column, touching no others: Arrow's own `take` first copies all chunks into one.

    >>> taken(pa.chunked_array([["a", "b"], ["c"]]), [2, 0]).to_pylist()
    ['c', 'a']
    """
    wanted = np.asarray(rows, dtype=np.int64)
    if column.num_chunks <= 1:
        return column.take(pa.array(wanted))
    order = np.argsort(wanted, kind="stable")
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    bounds = np.searchsorted(wanted[order], np.concatenate(([0], ends)))
    pieces = [
        chunk.take(pa.array(wanted[order[bounds[at] : bounds[at + 1]]] - (ends[at] - len(chunk))))
        for at, chunk in enumerate(column.chunks)
        if bounds[at + 1] > bounds[at]
    ]
    found = pa.chunked_array(pieces, column.type)
    if np.array_equal(order, np.arange(len(order))):
        return found
    return found.take(pa.array(np.argsort(order)))


def content_digest(table: pa.Table) -> str:
    """SHA-256 of names, types and values; the same for any chunking.

    >>> content_digest(pa.table({"a": [1]})) == content_digest(pa.table({"a": pa.chunked_array([[], [1]], pa.int64())}))
    True
    """
    digest = hashlib.sha256(json.dumps([[field.name, str(field.type)] for field in table.schema]).encode())
    for name in table.column_names:
        for start in range(0, table.num_rows, _SLICE):
            values = table.column(name).slice(start, _SLICE).to_pylist()
            digest.update(json.dumps(values, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def label_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Label names as people write them, whatever the type: `1.0` is `1`, true is `True`, NaN is null.

    >>> label_strings(pa.chunked_array([[1.0, None, 0.5]])).to_pylist()
    ['1', None, '0.5']
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return label_strings(column.cast(kind.value_type))
    if pa.types.is_boolean(kind):
        return pc.if_else(column, "True", "False")
    if pa.types.is_floating(kind):
        return pa.chunked_array([_float_names(chunk) for chunk in column.chunks], pa.string())
    return column if kind == pa.string() else column.cast(pa.string())


def _float_names(chunk: pa.Array) -> pa.Array:
    def name(value: float | None) -> str | None:
        if value is None or value != value:
            return None
        return str(int(value)) if float(value).is_integer() else repr(value)

    distinct = pc.unique(chunk)
    names = pa.array([name(value) for value in distinct.to_pylist()], pa.string())
    return pc.take(names, pc.index_in(chunk, distinct))
