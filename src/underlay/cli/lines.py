"""JSONL in, JSONL out, a line as soon as it is answered."""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from underlay.cli.answers import ERROR, answer_columns, errors_of
from underlay.cli.writing import published
from underlay.core import Schema, UsageError

if TYPE_CHECKING:
    from underlay.bundle import Bundle

Columns: TypeAlias = dict[str, Any]

AT_ONCE = 256
"""Lines answered together when a whole file is piped in; a person who types gets each at once."""


def predict_lines(bundle: "Bundle", *, out: Path | None, scores: bool) -> int:
    """Answer every line of stdin and give how many could not be answered.

    A line is an object of columns, or a bare value for a bundle that reads one column.

    Args:
        bundle: The model.
        out: A `.jsonl` file; None for stdout.
        scores: Add the probability of every label.

    Raises:
        UsageError: `out` is not a `.jsonl` file.
    """
    if out is not None and out.suffix.lower() != ".jsonl":
        raise UsageError(f"lines from stdin cannot be written as {out.name!r}", "name a .jsonl file")
    batch = 1 if sys.stdin.isatty() else AT_ONCE
    bad = 0
    with contextlib.ExitStack() as stack:
        # Not sys.stdin: its encoding is the locale's, and JSON is UTF-8.
        source = stack.enter_context(open(sys.stdin.fileno(), encoding="utf-8-sig", errors="replace", closefd=False))
        sink: TextIO = sys.stdout
        if out is not None:
            sink = stack.enter_context(stack.enter_context(published(out)).open("w", encoding="utf-8"))
        for lines in _chunks((line for line in source if line.strip()), batch):
            for row, answer in _answer(bundle, lines, scores=scores):
                bad += ERROR in answer
                sink.write(json.dumps({**row, **answer}, ensure_ascii=False) + "\n")
            sink.flush()
    return bad


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(lines)
    while chunk := list(islice(remaining, size)):
        yield chunk


def _answer(bundle: "Bundle", lines: list[str], *, scores: bool) -> list[tuple[Columns, Columns]]:
    """Each line's own columns, and its answer or its error."""
    read = [_row(bundle.schema, line) for line in lines]
    good = [row for row, problem in read if problem is None]
    names = [column.name for column in bundle.schema.columns]
    answers = bundle.answer({name: [row[name] for row in good] for name in names})
    columns = answer_columns(answers, bundle.schema, scores=scores)
    found: Iterator[Columns] = (
        {name: column[place] for name, column in columns.items()} if message is None else {ERROR: message}
        for place, message in enumerate(errors_of(answers, len(good)))
    )
    return [(row, next(found) if problem is None else {ERROR: problem}) for row, problem in read]


def _row(schema: Schema, line: str) -> tuple[Columns, str | None]:
    """The columns of one line, and why it cannot be answered, if so."""
    names = [column.name for column in schema.columns]
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {}, f"this line is not JSON: {error}"
    row = value if isinstance(value, dict) else {names[0]: value} if len(names) == 1 else {}
    absent = [name for name in names if name not in row]
    return row, f"the column {absent[0]!r} is missing" if absent else None
