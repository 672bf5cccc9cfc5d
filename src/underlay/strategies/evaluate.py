"""A bundle measured on other data than it was made with: the same path, the same figures, the same report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from underlay.bundle import Bundle
from underlay.core import DataError, Listener, MissingColumn, RowProblem, Target
from underlay.data import Table, encode_targets, open_table
from underlay.evaluate import KEY_METRIC, DataFacts, Examination, Fact, FactGroup, Interval, ReportData, examine
from underlay.strategies.listening import Say

AT_ONCE = 4096
"""Rows answered between two signs of progress."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        table: What it was measured on.
        targets: One examination each.
        problems: Rows that could not be answered, by number; they are in no figure.
    """

    table: Table
    targets: tuple[Examination, ...]
    problems: Mapping[int, RowProblem]

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By target: every figure as `{"value", "low", "high"}`, and `n`, the rows measured; plain data."""
        return {
            one.target: {name: figure.to_dict() for name, figure in one.metrics.items()} | {"n": one.count}
            for one in self.targets
        }


def evaluate(
    bundle: Bundle,
    source: Any,
    *,
    slice_by: Sequence[str] = (),
    cache: Path | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """Measure a bundle on labelled data; rows without a label or with an unusable value are left out and counted.

    Args:
        bundle: The model.
        source: Anything that can be opened as data.
        slice_by: Columns whose values are measured one by one.
        cache: Folder for what a large file needs while it is open.
        listener: Told what happens.

    Raises:
        MissingColumn: An input, a target or a column to slice by is not there.
        DataError: No row has both a usable input and a label.
    """
    say = Say(listener)
    table = open_table(source, cache=cache)
    _require_columns(bundle, table, slice_by)
    scores, logits, problems = _answer(bundle, table, say)
    usable = np.setdiff1d(np.arange(len(table)), list(problems))
    if problems:
        first = next(iter(problems))
        say.warning(f"{len(problems):,} rows cannot be answered; first {table.place(first)}: {problems[first].message}")
    inputs = table.values(bundle.schema.columns[0].name, usable)
    columns = {name: table.values(name, usable) for name in slice_by}
    modality = bundle.modalities[bundle.schema.columns[0].name]
    columns["length"] = [len(modality.parts(value)) for value in inputs]
    found = []
    for target in bundle.schema.targets:
        truth = encode_targets(table, target).values[usable]
        say.note(f"measuring {target.name!r} on {len(usable):,} rows")
        found.append(
            examine(
                target,
                scores[target.name][usable],
                truth,
                values=inputs,
                logits=None if target.task == "regression" else logits[target.name][usable],
                temperature=bundle.rules[target.name].temperature,
                threshold=list(bundle.rules[target.name].thresholds) or None,
                columns=columns,
                places=lambda row: table.place(int(usable[row])),
                seed=int(bundle.provenance.get("seed", 0)),
            )
        )
    if not any(one.count for one in found):
        raise DataError(f"{table.name} has no row with both a usable input and a label", "is this the right file?")
    return Evaluation(table, tuple(found), problems)


def evaluation_report(bundle: Bundle, evaluation: Evaluation) -> ReportData:
    """The report of a bundle on other data."""
    table, model = evaluation.table, bundle.provenance.get("backbone", {}).get("name", "")
    facts = (*(Fact("note", note) for note in table.notes), Fact("digest", table.digest))
    notes = [f"{len(evaluation.problems):,} rows could not be answered and are in no figure."]
    return ReportData(
        title=f"{_name(bundle)} on {table.name}",
        model=model,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=DataFacts(table.name, {"measured": len(table)}, facts),
        targets=evaluation.targets,
        run=_facts(bundle),
        notes=tuple(notes) if evaluation.problems else (),
        unmeasured=("No baseline was fitted: the training data is not part of a bundle.",),
    )


def sealed_report(bundle: Bundle) -> ReportData:
    """What a bundle itself knows of its figures, for one whose run folder is gone."""
    targets = tuple(
        _stored(target, bundle.metrics[target.name])
        for target in bundle.schema.targets
        if target.name in bundle.metrics
    )
    return ReportData(
        title=_name(bundle),
        model=bundle.provenance.get("backbone", {}).get("name", ""),
        targets=targets,
        run=_facts(bundle),
        unmeasured=("Everything but the figures stood in the run folder, which is gone; --data DATA measures anew.",),
    )


def _stored(target: Target, stored: Mapping[str, Any]) -> Examination:
    metrics = {name: Interval(**figure) for name, figure in stored.items() if isinstance(figure, Mapping)}
    count = int(stored.get("n", 0))
    return Examination(target.name, target.task, target.labels, count, KEY_METRIC[target.task], metrics)


def _answer(
    bundle: Bundle, table: Table, say: Say
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[int, RowProblem]]:
    """Scores and logits by target over all rows, and the rows without any."""
    names = [column.name for column in bundle.schema.columns]
    scores: dict[str, list[np.ndarray]] = {target.name: [] for target in bundle.schema.targets}
    logits: dict[str, list[np.ndarray]] = {target.name: [] for target in bundle.schema.targets}
    problems: dict[int, RowProblem] = {}
    for start in range(0, len(table), AT_ONCE):
        rows = table.arrow.slice(start, AT_ONCE)
        answers = bundle.answer({name: rows.column(name).to_pylist() for name in names})
        problems |= {start + row: problem for row, problem in answers.problems.items()}
        for target in bundle.schema.targets:
            probabilities = answers.probabilities[target.name]
            scores[target.name].append(probabilities[:, 0] if target.task == "regression" else probabilities)
            logits[target.name].append(answers.logits[target.name])
        say.progress("answering", done=min(start + AT_ONCE, len(table)), total=len(table))
    return (
        {name: np.concatenate(parts) for name, parts in scores.items() if parts},
        {name: np.concatenate(parts) for name, parts in logits.items() if parts},
        problems,
    )


def _require_columns(bundle: Bundle, table: Table, slice_by: Sequence[str]) -> None:
    if not len(table):
        raise DataError(f"{table.name} has no rows", "add rows", code="no_rows")
    needed = [(column.name, "this bundle") for column in bundle.schema.columns]
    needed += [(target.name, "measuring this bundle") for target in bundle.schema.targets]
    for name, asker in needed + [(name, "--slices") for name in slice_by]:
        if name not in table.columns:
            raise MissingColumn(asker, name, table.columns)


def _facts(bundle: Bundle) -> tuple[FactGroup, ...]:
    versions = bundle.provenance.get("versions", {})
    seal = bundle.manifest.seal if bundle.manifest else ""
    return (
        FactGroup("Bundle", (Fact("folder", _name(bundle)), Fact("seal", seal))),
        FactGroup("Versions at training", tuple(Fact(name, str(text)) for name, text in versions.items())),
    )


def _name(bundle: Bundle) -> str:
    return bundle.path.name if bundle.path else "bundle"
