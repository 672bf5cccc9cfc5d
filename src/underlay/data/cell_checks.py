"""What is wrong with single cells: empty, huge, damaged, or dangerous in a spreadsheet."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from underlay.data.findings import Finding, several
from underlay.data.table import Table

_HUGE = 1_000_000  # bytes: no model reads that much of one text
_SHOWN = 5


def empty_cells(column: pa.ChunkedArray) -> np.ndarray:
    """Which cells hold nothing: null, spaces, an empty list; bool `[N]`."""
    if _is_text(column.type):
        empty = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(column)), 0)
    elif pa.types.is_list(column.type):
        empty = pc.equal(pc.list_value_length(column), 0)
    else:
        empty = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
    return np.asarray(pc.fill_null(empty, True).combine_chunks()).astype(bool)


def odd_cells(table: Table, name: str) -> list[Finding]:
    """Find cells of a text column that a person should look at; all are kept as they are."""
    column = table.column(name)
    if not _is_text(column.type):
        return []
    huge = _where(pc.greater(pc.binary_length(column), _HUGE))
    nul = _where(pc.match_substring(column, "\0"))
    replaced = _where(pc.match_substring(column, "\ufffd"))
    begins = pc.match_substring_regex(column, r"^[=+\-@\t]")
    number = pc.match_substring_regex(column, r"^[+\-]\d*\.?\d+([eE][+\-]?\d+)?$")
    formula = _where(pc.and_not(begins, number))
    markup = _where(pc.match_substring_regex(column, r"(?i)</?(a|b|br|div|i|li|p|script|span|table|ul)[ />]"))
    kept = (
        ("huge_cell", "warning", huge, f"longer than {_HUGE:,} bytes; a model reads the part its length allows"),
        ("nul_character", "warning", nul, "with a NUL character, which is removed before reading"),
        ("replacement_character", "warning", replaced, "with '\ufffd': an earlier conversion lost characters there"),
        ("formula_like", "info", formula, "that begin like a formula (= + - @); kept as text"),
        ("markup", "info", markup, "with HTML; kept as text"),
    )
    return [
        Finding(code, severity, len(rows), f"{several(len(rows), 'cell')} of {name!r} {said}", _places(table, rows))  # type: ignore[arg-type]
        for code, severity, rows, said in kept
        if len(rows)
    ]


def truncated(table: Table, lengths: np.ndarray, limit: int) -> list[Finding]:
    """Find rows longer than a model reads at once.

    Args:
        table: The data, for places.
        lengths: Positions each row takes.
        limit: The most that is read.
    """
    rows = np.flatnonzero(lengths > limit)
    if not len(rows):
        return []
    share = len(rows) / len(lengths)
    message = (
        f"{several(len(rows), 'row')} ({share:.1%}) longer than {limit} positions, the longest {int(lengths.max()):,}; "
        "model.long: head-tail, windows or head decides what is read of them"
    )
    return [Finding("truncated", "info", len(rows), message, _places(table, rows))]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _where(mask: pa.ChunkedArray) -> np.ndarray:
    return np.flatnonzero(np.asarray(pc.fill_null(mask, False).combine_chunks()))


def _places(table: Table, rows: np.ndarray) -> tuple[str, ...]:
    return tuple(table.place(int(row)) for row in rows[:_SHOWN])
