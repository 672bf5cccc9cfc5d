"""Answers for every row of a data file, beside its columns."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from underlay.cli.answers import ERROR, answer_columns, errors_of, list_type, require_new
from underlay.cli.terminal import Terminal
from underlay.cli.writing import print_table, write_table, writer_of
from underlay.core import Event, MissingColumn, UsageError

if TYPE_CHECKING:
    from underlay.bundle import Bundle
    from underlay.data import Table

ROWS = 2048
"""Rows answered between two signs of progress."""


def predict_file(bundle: "Bundle", source: str, *, out: Path | None, scores: bool, quiet: bool) -> int:
    """Write the input's columns unchanged, then the answers; give how many rows could not be answered.

    Args:
        bundle: The model.
        source: Anything that can be opened as data.
        out: File to write; None for stdout.
        scores: Add the probability of every label.
        quiet: Show no progress.

    Raises:
        UsageError: `out` has no known ending or is the input, or the input has a column named as an answer.
        MissingColumn: A column that the bundle reads is not there.
    """
    from underlay.data import gathered_as, open_table

    if out is not None:
        writer_of(out)
        if out.resolve() == Path(source).resolve():
            raise UsageError(f"--out {out} is the input itself", "name another file")
    table = gathered_as(open_table(source), bundle.provenance.get("recipe", {}))
    for column in bundle.schema.columns:
        if column.name not in table.columns:
            raise MissingColumn("this bundle", column.name, table.columns)
    with Terminal(quiet=quiet) as terminal:
        columns, errors = _answer(bundle, table.with_files(bundle.file_columns), scores=scores, terminal=terminal)
    answered = table.arrow
    require_new([*columns, ERROR] if errors.null_count < len(errors) else columns, table.columns)
    for name, values in columns.items():
        answered = answered.append_column(name, values)
    if errors.null_count < len(errors):
        answered = answered.append_column(ERROR, errors)
    if out is None:
        print_table(answered, like=table.name)
    else:
        write_table(answered, out)
    return len(errors) - int(errors.null_count)


def _answer(
    bundle: "Bundle", table: "Table", *, scores: bool, terminal: Terminal
) -> tuple[dict[str, pa.ChunkedArray], pa.ChunkedArray]:
    """The columns to add, and the message of each bad row."""
    names = [column.name for column in bundle.schema.columns]
    chunks: dict[str, list[Any]] = {}
    errors: list[Any] = []
    for start in range(0, max(1, len(table)), ROWS):
        rows = table.arrow.slice(start, ROWS)
        answers = bundle.answer({name: rows.column(name).to_pylist() for name in names})
        for name, values in answer_columns(answers, bundle.schema, scores=scores).items():
            if name not in chunks:
                require_new([name], table.columns)
            chunks.setdefault(name, []).append(_compact(name, values))
        errors.append(pa.array(errors_of(answers, rows.num_rows), pa.string()))
        done = min(start + ROWS, len(table))
        terminal(Event("progress", "predicting", {"done": done, "total": len(table)}))
    return {name: _joined(parts) for name, parts in chunks.items()}, pa.chunked_array(errors)


def _joined(parts: list[pa.Array]) -> pa.ChunkedArray:
    """One column; a part in which no row was answered takes the type of the others."""
    kind = next((part.type for part in parts if part.null_count < len(part)), parts[0].type)
    return pa.chunked_array([part if part.type == kind else pa.nulls(len(part), kind) for part in parts], kind)


def _compact(name: str, values: list[Any]) -> pa.Array:
    if any(isinstance(value, list) for value in values):
        return pa.array(values, list_type(name))
    if all(value is None or isinstance(value, float) for value in values):
        return pa.array(values, pa.float64())
    return pa.array(values, pa.string())
