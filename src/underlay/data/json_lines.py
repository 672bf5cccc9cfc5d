"""JSON Lines: one object a line, streamed twice, first for the types and then for the values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from underlay.core import DataError
from underlay.data.delimited import bounded_lines
from underlay.data.encodings import decoded, detect
from underlay.data.files import compression_of, digest_of, open_bytes
from underlay.data.spill import IN_MEMORY_BYTES, cached, gathered
from underlay.data.table import Table

_LINES = "__line__"
_BATCH = 8192
_INT64 = 1 << 63
_PLAIN = {str: "string", bool: "bool", type(None): "null"}
_SCALARS = frozenset(("bool", "int", "float", "string"))


@dataclass
class _Survey:
    """What the first pass learned."""

    kinds: dict[str, set[str]] = field(default_factory=dict)
    bad: int = 0
    first_bad: str = ""
    rows: int = 0


def read_json_lines(path: Path, *, cache: Path | None = None) -> Table:
    """Give the table of a JSONL file, plain or compressed; a key that a row lacks is null there.

    Args:
        path: The file.
        cache: Folder that keeps the converted rows of a large file.

    Raises:
        DataError: A line is no JSON object, or names a key twice; the first is shown and the others counted.
    """
    encoding = detect(lambda: open_bytes(path), path.name)
    survey = _survey(path, encoding.codec)
    schema = pa.schema([*((name, _type(kinds)) for name, kinds in survey.kinds.items()), (_LINES, pa.int64())])
    digest = digest_of(path)
    key = f"{digest[:32]}-jsonl"
    arrow = cached(cache, key)
    if arrow is None:
        growth = 1 if compression_of(path) is None else 20
        large = path.stat().st_size * growth > IN_MEMORY_BYTES
        arrow = gathered(_batches(path, encoding.codec, schema), schema, large=large, cache=cache, key=key)
    notes = (encoding.note,) if encoding.note else ()
    return Table(
        arrow.drop_columns([_LINES]),
        name=path.name,
        digest=digest,
        folder=path.parent,
        notes=(*notes, *_notes(path.name, survey)),
        source=path,
        lines=arrow.column(_LINES),
    )


def _survey(path: Path, codec: str) -> _Survey:
    survey = _Survey()
    for number, line in _lines(path, codec):
        try:
            row = _object(line)
        except (ValueError, RecursionError) as error:
            survey.bad += 1
            survey.first_bad = survey.first_bad or f"line {number}: {_said(error)}: {line.strip()[:80]!r}"
            continue
        survey.rows += 1
        for name, value in row.items():
            survey.kinds.setdefault(name, set()).add(_PLAIN.get(type(value)) or _kind(value))
    if survey.bad:
        more = f" ({survey.bad - 1:,} more such lines)" if survey.bad > 1 else ""
        raise DataError(f"{path.name}, {survey.first_bad}{more}", "write one JSON object a line", code="bad_json")
    if not survey.rows:
        raise DataError(f"{path.name} is empty", "it needs one JSON object a line", code="empty_file")
    return survey


def _lines(path: Path, codec: str) -> Iterator[tuple[int, str]]:
    with open_bytes(path) as file:
        for number, line in enumerate(bounded_lines(decoded(file, codec), path.name), 1):
            if line.strip():
                yield number, line


def _object(line: str) -> dict[str, Any]:
    value = _STRICT.decode(line.strip())
    if not isinstance(value, dict):
        raise NotAnObject(f"a {type(value).__name__}, not an object")
    return value


class NotAnObject(ValueError):
    """A line of JSON that cannot be a row."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise NotAnObject(f"the key {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_distinct)


def _said(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno})"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _kind(value: Any) -> str:
    """Name the type of one value; lists name what they hold."""
    if value is None or (isinstance(value, float) and value != value):
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_INT64 <= value < _INT64 else "string"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        inner = {_kind(item) for item in value} - {"null"}
        return f"list of {_merged(inner)}"
    return "object"


def _merged(kinds: set[str]) -> str:
    if not kinds:
        return "null"
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {"int", "float"}:
        return "float"
    if kinds <= _SCALARS:
        return "string"
    lists = {kind.removeprefix("list of ") for kind in kinds if kind.startswith("list of ")}
    if len(lists) == len(kinds):
        return f"list of {_merged(lists - {'null'})}"
    return "object"


def _type(kinds: set[str]) -> pa.DataType:
    merged = _merged(kinds - {"null"})
    depth = merged.count("list of ")
    item = merged.removeprefix("list of " * depth)
    if depth and item in ("int", "float"):
        item_type = pa.float64()
    else:
        item_type = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}.get(item, pa.string())
    if item == "object":
        return pa.string()  # kept as JSON text
    for _ in range(depth):
        item_type = pa.list_(item_type)
    return item_type


def _batches(path: Path, codec: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    lines = _lines(path, codec)
    while chunk := list(islice(lines, _BATCH)):
        rows = [json.loads(line) for _, line in chunk]
        arrays = [_array([row.get(field.name) for row in rows], field.type) for field in list(schema)[:-1]]
        lines_of = pa.array([number for number, _ in chunk], pa.int64())
        yield pa.RecordBatch.from_arrays([*arrays, lines_of], schema=schema)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return pa.array([_fit(value, kind) for value in values], kind)


def _fit(value: Any, kind: pa.DataType) -> Any:
    """The value as its column holds it."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if pa.types.is_list(kind):
        return [_fit(item, kind.value_type) for item in value]
    if pa.types.is_string(kind):
        return _text(value)
    return float(value) if pa.types.is_floating(kind) else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _notes(name: str, survey: _Survey) -> tuple[str, ...]:
    notes = []
    for column, kinds in survey.kinds.items():
        present = sorted(kinds - {"null"})
        if len(present) > 1 and not set(present) <= {"int", "float"}:
            notes.append(f"{name}: column {column!r} mixes {' and '.join(present)}; all are kept as text")
    return tuple(notes)
