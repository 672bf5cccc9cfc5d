"""Anything a user may call DATA -> a table."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from underlay.core import DataError, UsageError
from underlay.data.files import digest_of
from underlay.data.samples import open_sample
from underlay.data.table import Table, content_digest


def open_table(source: Any, *, cache: Path | None = None) -> Table:
    """Read a data set; see INTERFACE for what can be named."""
    if isinstance(source, Table):
        return source
    if isinstance(source, str) and source.startswith("sample:"):
        return open_sample(source.removeprefix("sample:"))
    if isinstance(source, pa.Table):
        return Table(source, digest=content_digest(source))
    if isinstance(source, tuple) and len(source) == 2:
        arrow = pa.table({"text": list(source[0]), "label": list(source[1])})
        return Table(arrow, digest=content_digest(arrow))
    path = Path(source)
    if not path.exists():
        raise DataError(f"there is no file {path}", "check the path", code="not_found")
    if path.suffix == ".parquet":
        arrow = pq.read_table(path)
    elif path.suffix == ".csv":
        with path.open("rb") as file:
            names = file.readline().decode("utf-8-sig").strip().split(",")
        convert = pacsv.ConvertOptions(column_types={name: pa.string() for name in names})
        arrow = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(newlines_in_values=True), convert_options=convert)
    else:
        raise UsageError(f"cannot read {path.name}", "csv, parquet")
    return Table(arrow, name=path.name, digest=digest_of(path), folder=path.parent, source=path)
