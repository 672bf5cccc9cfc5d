"""Labels that people gave, with the rows that they are about, as a file that `fit` reads."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from underlay.core import DataError, Schema, Target, UsageError
from underlay.core.durable import write_file
from underlay.serve.state.chain import Entry, iso
from underlay.serve.state.kept_input import FILE
from underlay.serve.state.store import Store
from underlay.serve.state.tables import BUNDLES, FEEDBACK, PREDICTIONS

KINDS = (".csv", ".jsonl")
SOURCE = ("prediction_id", "labelled_by", "labelled_at")
"""Columns that tell who said it and when, if they are wanted."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        rows: With a label.
        left_out: Labelled, but of their input nothing that a model reads was kept.
        sha256: Of the file.
        labels: By target: rows with one.
    """

    rows: int
    left_out: int
    sha256: str
    labels: Mapping[str, int]


def export_feedback(
    store: Store, out: Path, *, model: str | None = None, source: bool = False, actor: str = "command"
) -> Exported:
    """Write what was labelled, in the order of the answers; of several labels for one target the newest.

    Args:
        store: Of which.
        out: `.csv` or `.jsonl`; what stood there is replaced.
        model: Name, where several have labels.
        source: Add the columns `SOURCE`.
        actor: Whom the chain names.

    Raises:
        UsageError: `out`: another ending; `model`: there are several, or not this one; `out`: lists in a CSV file.
        DataError: `no_feedback`: nobody gave a label.
        ResourceError: The file cannot be written.
        StoreFailed: The database does not answer.
    """
    if out.suffix not in KINDS:
        raise UsageError(f"{out} is neither .csv nor .jsonl", "name a file with one of these endings", code="out")
    with store.reading() as connection:
        schema = _schema(connection, model)
        found = list(_rows(connection, schema, model))
    kept = [row for row in found if row is not None]
    columns = [column.name for column in schema.columns] + [target.name for target in schema.targets]
    columns += list(SOURCE) if source else []
    data = _csv(kept, columns, schema) if out.suffix == ".csv" else _jsonl(kept, columns)
    write_file(out, data)
    done = Exported(
        len(kept),
        len(found) - len(kept),
        sha256(data).hexdigest(),
        dict(Counter(target.name for row in kept for target in schema.targets if row.get(target.name) is not None)),
    )
    told = {"rows": done.rows, "left_out": done.left_out, "sha256": done.sha256}
    store.write(lambda transaction: transaction.append(Entry(actor, "export", object="feedback", extra=told)))
    return done


def _schema(connection: Connection, model: str | None) -> Schema:
    """Of the newest bundle that has labels; older ones of the same name may have had fewer.

    Raises:
        UsageError: `model`.
        DataError: `no_feedback`.
    """
    labelled = (
        select(PREDICTIONS.c.model, PREDICTIONS.c.bundle, PREDICTIONS.c.time)
        .join(FEEDBACK, FEEDBACK.c.prediction == PREDICTIONS.c.id)
        .order_by(PREDICTIONS.c.time)
    )
    rows = connection.execute(labelled).all()
    names = sorted({row.model for row in rows})
    if not names:
        raise DataError("nobody gave a label yet", "`POST /feedback` takes them", code="no_feedback")
    if (model is None and len(names) > 1) or (model is not None and model not in names):
        raise UsageError(f"the models with labels are {', '.join(names)}", "name one with --model", code="model")
    seal = [row.bundle for row in rows if model in (None, row.model)][-1]
    text = connection.execute(select(BUNDLES.c.schema).where(BUNDLES.c.seal == seal)).scalar_one()
    return Schema.from_dict(json.loads(text))


def _rows(connection: Connection, schema: Schema, model: str | None) -> Iterator[dict[str, Any] | None]:
    """A labelled row each by column; None for one of which too little was kept."""
    wanted = (
        select(PREDICTIONS.c.id, PREDICTIONS.c.input, FEEDBACK.c.target, FEEDBACK.c.label, FEEDBACK.c.key)
        .add_columns(FEEDBACK.c.time)
        .join(FEEDBACK, FEEDBACK.c.prediction == PREDICTIONS.c.id)
        .order_by(PREDICTIONS.c.seq, PREDICTIONS.c.place, FEEDBACK.c.seq)
    )
    if model is not None:
        wanted = wanted.where(PREDICTIONS.c.model == model)
    columns, targets = [column.name for column in schema.columns], {target.name: target for target in schema.targets}
    identity, row = "", None
    for said in connection.execute(wanted):
        if said.id != identity:
            if identity:
                yield row
            identity, row = said.id, _input(said.input, columns)
        if row is not None and said.target in targets:
            row |= {said.target: _label(said.label, targets[said.target])}
            row |= {"prediction_id": said.id, "labelled_by": said.key, "labelled_at": iso(said.time)}
    if identity:
        yield row


def _label(text: str, target: Target) -> Any:
    """As it was given; a number with its point, as whole ones alone would be taken for classes."""
    label = json.loads(text)
    return float(label) if target.task == "regression" else label


def _input(text: str | None, columns: Sequence[str]) -> dict[str, Any] | None:
    """The row as it is kept; None where a column is missing or was a file."""
    values = {} if text is None else json.loads(text)
    if not all(name in values for name in columns):
        return None
    if any(isinstance(value, str) and value.startswith(FILE) for value in values.values()):
        return None
    return {name: values[name] for name in columns}


def _jsonl(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    lines = (json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], schema: Schema) -> bytes:
    """Cells as they are: the file is for `fit`, not for a spreadsheet, which would run what begins with `=`.

    Raises:
        UsageError: `out`: a value is a list, for which a cell has no form.
    """
    targets = {target.name: target for target in schema.targets}
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(_cell(row.get(name), targets.get(name)) for name in columns)
    return written.getvalue().encode()


def _cell(value: Any, target: Target | None) -> Any:
    if target is not None and target.task == "multilabel" and isinstance(value, list):
        return target.separator.join(value) or "[]"  # as `fit` reads "none of them"
    if isinstance(value, list | dict):
        raise UsageError("a cell of a .csv file cannot hold a list", "name a .jsonl file", code="out")
    return value
