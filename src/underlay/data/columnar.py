"""Parquet and Arrow files: typed, mapped or streamed."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from underlay.core import DataError, rows_within
from underlay.data.files import digest_of
from underlay.data.spill import IN_MEMORY_BYTES, cached, gathered
from underlay.data.table import Table

_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 << 20
"""Most of a batch: a thousand recordings take more than a hundred megabytes."""

_READ_BYTES = 1 << 20
"""Read ahead: without it the whole column of a row group, which may be the file, is read at once."""


def read_parquet(path: Path, *, cache: Path | None = None) -> Table:
    """Give the table of a Parquet file; a large one goes through a mapped Arrow file.

    Raises:
        DataError: It is damaged.
    """
    digest = digest_of(path)
    key = f"{digest[:32]}-parquet"
    arrow = cached(cache, key)
    if arrow is None:
        try:
            with pq.ParquetFile(path, buffer_size=_READ_BYTES) as file:
                large = _uncompressed(file) > IN_MEMORY_BYTES
                schema = file.schema_arrow.remove_metadata()
                arrow = gathered(_batches(file, schema), schema, large=large, cache=cache, key=key)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise _damaged(path, error) from error
    return _table(path, plain(arrow), digest)


def read_arrow(path: Path) -> Table:
    """Give the table of an Arrow file or stream, mapped into memory.

    Raises:
        DataError: It is damaged.
    """
    try:
        source = pa.memory_map(str(path))
        try:
            arrow = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:
            source.seek(0)
            arrow = pa.ipc.open_stream(source).read_all()
        arrow.validate(full=True)  # offsets of a damaged file would be read beyond its end
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise _damaged(path, error) from error
    return _table(path, plain(arrow), digest_of(path))


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionaries (categories) as values and the short forms of strings and lists.

    Raises:
        DataError: Two columns have one name.
    """
    names = table.column_names
    twice = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise DataError(
            f"the column name {twice[0]!r} appears {names.count(twice[0])} times",
            "give each its own",
            code="duplicate_column",
        )
    fields = [pa.field(field.name, _plain_type(field.type)) for field in table.schema]
    schema = pa.schema(fields)
    return table if schema == table.schema.remove_metadata() else table.cast(schema)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_null(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind


def _batches(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    size = rows_within(_BATCH_BYTES, rows=file.metadata.num_rows, taken=_uncompressed(file), most=_BATCH_ROWS)
    for batch in file.iter_batches(batch_size=size, use_threads=False):
        yield batch.cast(schema)


def _uncompressed(file: pq.ParquetFile) -> int:
    groups = range(file.metadata.num_row_groups)
    return sum(int(file.metadata.row_group(group).total_byte_size) for group in groups)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} cannot be read: {str(error)[:200]}", "write it again, or copy it again from its source"
    )


def _table(path: Path, arrow: pa.Table, digest: str) -> Table:
    if not arrow.num_columns:
        raise DataError(f"{path.name} has no columns", "check the file", code="empty_file")
    return Table(arrow, name=path.name, digest=digest, folder=path.parent, source=path)
