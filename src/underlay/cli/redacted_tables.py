"""A table redacted, cell by cell; a row is one document, in which the same value has the same placeholder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from underlay.cli.writing import print_table, write_table, writer_of
from underlay.core import Event, MissingColumn

if TYPE_CHECKING:
    from underlay.cli.redacted import Redacted
    from underlay.cli.terminal import Terminal
    from underlay.serve.redaction import Numbering, Policy

ROWS = 2048
"""Rows redacted between two signs of progress."""

SHORTEST = 7
"""Digits of the shortest number that can be somebody's, a local telephone's."""


def redact_table(
    source: str,
    policy: "Policy",
    done: "Redacted",
    *,
    columns: tuple[str, ...],
    out: Path | None,
    write: bool,
    terminal: "Terminal",
) -> None:
    """Redact the cells of a table and write it; numbers are left unless they are recognised, bytes always.

    Raises:
        MissingColumn: A column that was asked for is not there.
        UsageError: `out` has no known ending.
    """
    from underlay.data import open_table

    if out is not None:
        writer_of(out)
    table = open_table(source)
    done.notes += table.notes
    for column in columns:
        if column not in table.columns:
            raise MissingColumn("redact", column, table.columns)
    redacted = _redacted(table.arrow, policy, done, columns, terminal)
    if write and out is not None:
        write_table(redacted, out)
    elif write:
        print_table(redacted, like=table.name)


def _redacted(
    arrow: pa.Table, policy: "Policy", done: "Redacted", columns: tuple[str, ...], terminal: "Terminal"
) -> pa.Table:
    from underlay.serve.redaction import Numbering

    chosen = [name for name in (columns or arrow.column_names) if _may_hold(arrow.schema.field(name).type)]
    left = [name for name in columns if name not in chosen]
    if left:
        done.notes.append(f"the column {left[0]!r} holds {arrow.schema.field(left[0]).type}: it is left as it is")
    chunks: dict[str, list[Any]] = {name: [] for name in chosen}
    for start in range(0, arrow.num_rows, ROWS):
        part = arrow.slice(start, ROWS)
        documents = [Numbering() for _ in range(part.num_rows)]
        for name in chosen:
            cell = _cell(name, policy, done)
            chunks[name] += map(cell, part.column(name).to_pylist(), documents)
        said = {"done": min(start + ROWS, arrow.num_rows), "total": arrow.num_rows}
        terminal(Event("progress", "redacting", said))
    for name, values in chunks.items():
        place = arrow.column_names.index(name)
        arrow = arrow.set_column(place, name, _column(name, values, arrow.schema.field(name).type, done))
    return _named(arrow, policy, done) if not columns else arrow


def _may_hold(kind: pa.DataType) -> bool:
    """Whether cells of this type can hold what a rule recognises."""
    if pa.types.is_dictionary(kind):
        return _may_hold(kind.value_type)
    if pa.types.is_nested(kind):
        return True
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(text or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _cell(column: str, policy: "Policy", done: "Redacted") -> Callable[[Any, "Numbering"], Any]:
    """What redacts a cell of this column."""
    from underlay.serve.redaction import redact

    def redacted(value: Any, numbering: "Numbering") -> Any:
        if isinstance(value, dict):
            return {key: redacted(inner, numbering) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [redacted(inner, numbering) for inner in value]
        text = _text(value)
        if not text:
            return value
        result = redact(text, policy, context=column, numbering=numbering)
        done.add(result, column)
        return value if result.text == text else result.text

    return redacted


def _text(value: Any) -> str:
    """A cell as a text to be searched; empty where there is nothing to search."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or isinstance(value, bytes):
        return ""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        return ""
    return str(whole) if whole == value and abs(whole) >= 10 ** (SHORTEST - 1) else ""


def _column(name: str, values: list[Any], kind: pa.DataType, done: "Redacted") -> pa.Array:
    """The cells in their own type; as text where a number had to go."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        done.notes.append(f"the column {name!r} held numbers ({kind}); it is written as text")
    return pa.array([_written(value) for value in values], pa.string())


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return _text(value) or str(value)


def _named(arrow: pa.Table, policy: "Policy", done: "Redacted") -> pa.Table:
    """The table with column names redacted: a file without a header has its first row there."""
    from underlay.serve.redaction import Numbering, redact

    numbering = Numbering()
    names = [redact(name, policy, numbering=numbering) for name in arrow.column_names]
    new = [name.text for name in names]
    if new == arrow.column_names:
        return arrow
    done.notes.append("a column's name was recognised and replaced; does the file begin with a header?")
    for name in names:
        done.counts.update({kind: count for kind, count in name.counts.items() if kind != "FAILED"})
    return arrow.rename_columns(new)
