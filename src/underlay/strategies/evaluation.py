"""A bundle on labelled data it has not seen: read as training read, answered by the bundle, measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from underlay.bundle import Bundle
from underlay.core import DataError, FollowedModality, MissingColumn, Picked, Target
from underlay.data import Table, column_rows, encode_targets, gathered_as, open_table
from underlay.evaluate import DataFacts, Examination, Fact, ReportData, examine
from underlay.strategies.inputs import Said, said_of, thumbnails
from underlay.strategies.next_item import ask_last


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        examined: By target, in the schema's order.
        rows: Rows of the data.
        problems: Rows that could not be answered: where, and why.
        unlabelled: Rows without a usable target.
    """

    examined: tuple[Examination, ...]
    rows: int
    problems: tuple[tuple[str, str], ...]
    unlabelled: int

    def to_dict(self) -> dict[str, Any]:
        """`{"metrics": {name: {value, low, high}}, "n": ...}`; by target where there are several."""
        figures = {
            one.target: {
                "metrics": {
                    name: {"value": found.value, "low": found.low, "high": found.high}
                    for name, found in one.metrics.items()
                },
                "n": one.count,
                **({"slices": [_slice(part) for part in one.slices]} if one.slices else {}),
            }
            for one in self.examined
        }
        whole = next(iter(figures.values())) if len(figures) == 1 else {"targets": figures}
        return {**whole, "rows": self.rows, "problems": len(self.problems), "unlabelled": self.unlabelled}


def evaluate(
    bundle: Bundle,
    source: Any,
    *,
    slice_by: Sequence[str] = (),
    resamples: int = 1000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure `bundle` on labelled data.

    Args:
        bundle: The only path from raw to answer.
        source: As `fine_tune` reads it.
        slice_by: Columns whose values are measured apart.
        resamples: Of the intervals.
        progress: Called with (rows answered, of all).

    Raises:
        MissingColumn: The data has not all columns of the bundle's schema.
        DataError: A label the bundle does not know, or no row to measure.
    """
    with TemporaryDirectory(prefix="underlay-") as cache:
        opened = open_table(source, cache=Path(cache))
        table = gathered_as(opened, bundle.provenance.get("recipe", {})).with_files(bundle.file_columns)
        table, truths = truths_of(bundle, table)
        columns = {column.name: column_rows(table, column.name) for column in bundle.schema.columns}
        by = {name: table.values(name) for name in slice_by}
        answers = said_of(bundle, columns, truths, progress=progress)
        slipped = _slipped(bundle, answers, truths)
        answered = np.ones(len(table), bool)
        answered[[*answers.problems, *slipped]] = False
        if not answered.any():
            raise DataError(f"{table.name} has no row that can be answered", "is this the right file?")
        examined = tuple(
            _examine(bundle, target, answers, truths[target.name], table, columns, by, answered, resamples)
            for target in bundle.schema.targets
        )
        if not any(one.count for one in examined):
            raise DataError(
                f"{table.name} has no row whose answer is known, so there is nothing to measure",
                "give rows with labels, or, where the next event is asked, with two events or more",
                code="no_labels",
            )
        told = {row: problem.message for row, problem in answers.problems.items()} | slipped
        problems = tuple((table.place(row), message) for row, message in sorted(told.items()))
        unlabelled = max(int(answered.sum()) - one.count for one in examined)
        return Evaluation(examined, len(table), problems, unlabelled)


def truths_of(bundle: Bundle, table: Table) -> tuple[Table, dict[str, np.ndarray]]:
    """The rows to answer, and by target what is true of them; of what happens next, the last event is the answer."""
    truths: dict[str, np.ndarray] = {}
    for target in bundle.schema.targets:
        if target.ranked:
            name, modality = next(iter(bundle.modalities.items()))
            table, truths[target.name] = ask_last(table, name, cast("FollowedModality", modality), target)
        else:
            truths[target.name] = encode_targets(table, target).values
    return table, truths


def _slipped(bundle: Bundle, answers: Said, truths: Mapping[str, np.ndarray]) -> dict[int, str]:
    """Rows with another number of labels than of units."""
    found = {}
    for target in bundle.schema.targets:
        if not target.by_unit:
            continue
        for row, (said, known) in enumerate(zip(answers.logits[target.name], truths[target.name], strict=True)):
            if row not in answers.problems and len(known) not in (0, len(said)):
                found[row] = f"{len(said)} units and {len(known)} labels in {target.name!r}; give one label a unit"
    return found


def report_on(bundle: Bundle, source: Any, *, slice_by: Sequence[str] = ()) -> ReportData:
    """The report of a bundle on other data than it was measured on when it was made."""
    evaluation = evaluate(bundle, source, slice_by=slice_by)
    name = source if isinstance(source, str | Path) else "memory"
    return ReportData(
        title=bundle.path.name if bundle.path is not None else "bundle",
        model=str(bundle.provenance.get("backbone", {}).get("name", "")),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=DataFacts(str(name), {"test": evaluation.rows}, (Fact("unlabelled rows", f"{evaluation.unlabelled:,}"),)),
        targets=evaluation.examined,
        notes=tuple(f"{place}: {why}" for place, why in evaluation.problems[:20]),
    )


def _examine(
    bundle: Bundle,
    target: Target,
    answers: Said,
    truth: np.ndarray,
    table: Table,
    columns: Mapping[str, Sequence[Any]],
    by: dict[str, list[Any]],
    answered: np.ndarray,
    resamples: int,
) -> Examination:
    rows = np.flatnonzero(answered)
    if not len(rows):
        raise MissingColumn(table.name, target.name, table.columns)
    rule = bundle.rules[target.name]
    return examine(
        target,
        answers.scores[target.name][rows],
        truth[rows],
        values={name: Picked(values, rows) for name, values in columns.items()},
        logits=answers.logits[target.name][rows] if target.name in answers.logits else None,
        temperature=rule.temperature,
        threshold=list(rule.thresholds) or None,
        columns={name: [values[row] for row in rows] for name, values in by.items()},
        places=lambda row: table.place(int(rows[row])),
        thumbnails=thumbnails(bundle.modalities),
        resamples=resamples,
    )


def _slice(part: Any) -> dict[str, Any]:
    figure = part.figure
    return {
        "by": part.by,
        "name": part.name,
        "n": part.count,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
    }
