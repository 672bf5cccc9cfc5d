"""Anything a user may call DATA -> a table."""

import os
from pathlib import Path
from typing import Any

from underlay.core import DataError
from underlay.data.arrays import read_arrays
from underlay.data.columnar import read_arrow, read_parquet
from underlay.data.conll import CONLL, read_conll
from underlay.data.delimited import read_delimited
from underlay.data.files import kind_of, require_local, require_safe
from underlay.data.folders import read_folder
from underlay.data.frames import table_from_memory
from underlay.data.hub import read_hub
from underlay.data.json_lines import read_json_lines
from underlay.data.samples import open_sample
from underlay.data.table import Table
from underlay.data.time_series import read_time_series

_HINTS = {
    ".xlsx": "save the sheet as CSV (UTF-8)",
    ".ods": "save the sheet as CSV (UTF-8)",
    ".json": "write one object a line and name it .jsonl",
    ".txt": "name the format: .csv, .tsv or .jsonl",
}


def open_table(source: Any, *, cache: Path | None = None) -> Table:
    """Give the table of a data set, in whatever form it comes.

    Args:
        source: A path to `.csv`, `.tsv`, `.jsonl`, `.parquet`, `.arrow`, `.conll` or `.ts` (also `.gz`, `.zst`), to
            `.npz`, or to a folder of class folders; `sample:NAME`; `hf:NAME`; a pandas, polars, Arrow or `datasets`
            table; `(X, y)` lists.
        cache: Folder that keeps the converted rows of large files for the next run; without it they go to a
            nameless file that vanishes with the process.

    Raises:
        DataError: It cannot be read; the message names file, line and what to do.
        UsageError: It names another machine, or is nothing that holds data.
        BundleRefused: It is a file that could run code when read.

    >>> open_table({"text": ["a", "b"], "label": [0, 1]}).columns
    ('text', 'label')
    """
    if isinstance(source, Table):
        return source
    if not isinstance(source, str | os.PathLike):
        return table_from_memory(source)
    named = str(source)
    if named.startswith("sample:"):
        return open_sample(named.removeprefix("sample:"))
    if named.startswith("hf:"):
        return read_hub(named.removeprefix("hf:"))
    require_local(named)
    path = Path(source).expanduser()
    try:
        return _read_path(path, cache)
    except PermissionError as error:
        raise DataError(
            f"{error.filename or path} may not be read: permission denied",
            "chmod it and the folders above it, or run as its owner",
            code="permission",
        ) from error


def _read_path(path: Path, cache: Path | None) -> Table:
    if path.is_dir():
        return read_folder(path)
    if kind_of(path) == ".npz" and path.is_file():
        return read_arrays(path)
    require_safe(path)
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty", "it needs column names and rows", code="empty_file")
    kind = kind_of(path)
    if kind in (".csv", ".tsv"):
        return read_delimited(path, cache=cache)
    if kind in (".jsonl", ".ndjson"):
        return read_json_lines(path, cache=cache)
    if kind == ".parquet":
        return read_parquet(path, cache=cache)
    if kind in (".arrow", ".feather"):
        return read_arrow(path)
    if kind in CONLL:
        return read_conll(path)
    if kind == ".ts":
        return read_time_series(path, cache=cache)
    raise DataError(
        f"{path.name} is no data file that is read here",
        _HINTS.get(
            kind,
            "name it .csv, .tsv, .jsonl, .parquet, .arrow, .conll or .ts (also .gz, .zst), or .npz, by what it holds",
        ),
        code="file_kind",
    )
