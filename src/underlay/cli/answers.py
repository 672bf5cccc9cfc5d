"""Answers of a bundle as the columns of a file."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from underlay.core import Schema, Target, UsageError, are_span_tags, find_spans

if TYPE_CHECKING:
    from underlay.bundle import Answers

ERROR = "error"
SPANS, BY_UNIT, RANKED = "spans", "unit confidence", "item scores"
SHOWN = 10
"""Labels of a ranked answer, as the bundle gives them."""
SPAN = pa.struct([("start", pa.int64()), ("stop", pa.int64()), ("kind", pa.string())])


def answer_columns(answers: "Answers", schema: Schema, *, scores: bool) -> dict[str, list[Any]]:
    """Give `prediction` and `confidence` of each row and, if asked, one column a label; None in bad rows.

    Of a tagging target `prediction` is the list of tags, one a unit; where they mark spans, `spans` lists these; if
    asked, `unit confidence` is the probability of each tag. Of a next item `prediction` is the list of the likeliest
    ten and, if asked, `item scores` their probabilities. With several targets each name begins with its target:
    `stars prediction`.

    Args:
        answers: For some rows.
        schema: Of the bundle.
        scores: Add the calibrated probability of every label.
    """
    columns: dict[str, list[Any]] = {}
    bad = answers.problems.keys()
    for target in schema.targets:
        prefix = "" if len(schema.targets) == 1 else f"{target.name} "
        predictions = [cell_of(value, target) for value in answers.predictions[target.name]]
        columns[f"{prefix}prediction"] = _without(predictions, bad)
        confidence = answers.confidence.get(target.name) if target.labels else None
        if confidence is not None:
            columns[f"{prefix}confidence"] = _without(confidence.tolist(), bad)
        if target.by_unit:
            columns |= _unit_columns(answers, target, prefix, scores=scores)
        elif target.ranked and scores:
            sorted_down = -np.sort(-answers.probabilities[target.name], axis=-1)[:, :SHOWN]
            columns[f"{prefix}{RANKED}"] = _without(sorted_down.tolist(), bad)
        elif scores and target.labels:
            for position, label in enumerate(target.labels):
                columns[f"{prefix}{label}"] = _without(answers.probabilities[target.name][:, position].tolist(), bad)
    return columns


def _unit_columns(answers: "Answers", target: Target, prefix: str, *, scores: bool) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    if are_span_tags(target.labels):
        found[f"{prefix}{SPANS}"] = [
            None if tags is None else [span._asdict() for span in find_spans(tags)]
            for tags in answers.predictions[target.name]
        ]
    if scores:
        found[f"{prefix}{BY_UNIT}"] = [
            [None if value != value else float(value) for value in row.max(-1, initial=0.0)]
            if answers.predictions[target.name][at] is not None
            else None
            for at, row in enumerate(answers.probabilities[target.name])
        ]
    return found


def list_type(name: str) -> pa.DataType:
    """What the lists of an answer's column hold: spans, numbers or tags; the same for every chunk of it."""
    if name.endswith(SPANS):
        return pa.list_(SPAN)
    return pa.list_(pa.float64() if name.endswith((BY_UNIT, RANKED)) else pa.string())


def errors_of(answers: "Answers", rows: int) -> list[str | None]:
    """The message of each bad row, None for the others."""
    return [answers.problems[row].message if row in answers.problems else None for row in range(rows)]


def cell_of(value: Any, target: Target) -> Any:
    """A prediction as one cell, None for none; several labels are joined as in the training file."""
    if value is None:
        return None
    if target.dense:
        return list(value)
    if target.task == "multilabel":
        return target.separator.join(value)
    return float(value) if target.task == "regression" else value


def require_new(names: Iterable[str], present: Sequence[str]) -> None:
    """Refuse to hide a column of the input under one of ours.

    Raises:
        UsageError: The input has a column of that name.
    """
    taken = [name for name in names if name in present]
    if taken:
        raise UsageError(f"the input already has the column {taken[0]!r}", "rename it and run again")


def _without(values: Sequence[Any], bad: Iterable[int]) -> list[Any]:
    hidden = set(bad)
    return [None if row in hidden else value for row, value in enumerate(values)] if hidden else list(values)
