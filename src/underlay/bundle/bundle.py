"""One folder = one model that can answer, and the only path from raw to answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from underlay.bundle.answering import Progress, count_rows, encode_rows, row_length, run_encoded, run_rows
from underlay.bundle.backends import Backend
from underlay.bundle.manifest import Manifest
from underlay.bundle.ranked import without_barred
from underlay.bundle.rules import Rule
from underlay.core import Encoded, MissingColumn, Modality, RowError, RowProblem, Schema, Target, UsageError, is_ragged


@dataclass(frozen=True)
class Answers:
    """What a bundle says of N rows; a row with a problem has NaN and None.

    Of a tagging target logits and probabilities are N arrays `[U, K]`, a line for each unit of the row: NaN for units
    that were cut, none for a row with a problem.

    Args:
        logits: By target, `[N, K]`, as the model gave them.
        probabilities: By target, calibrated, `[N, K]`; for regression the numbers in their unit, `[N, 1]`.
        predictions: By target: label names, tuples of names (multilabel; tagging, one a unit; next item, the likeliest
            ten in order) or numbers.
        confidence: By target, calibrated, `[N]`, of the least sure label where there are several; NaN for regression.
        problems: By row number.
    """

    logits: Mapping[str, np.ndarray]
    probabilities: Mapping[str, np.ndarray]
    predictions: Mapping[str, list[Any]]
    confidence: Mapping[str, np.ndarray]
    problems: Mapping[int, RowProblem]

    def __len__(self) -> int:
        return len(next(iter(self.logits.values())))


@dataclass(frozen=True)
class Bundle:
    """A model that can answer raw values, with everything that was measured when it was made.

    Args:
        path: The folder it was read from; None before it is sealed.
        schema: Columns and targets.
        modalities: Fitted, by column.
        rules: By target: label names, temperature, thresholds.
        backend: What computes logits.
        config: The model's config.
        manifest: Its files; None before it is sealed.
        metrics: What was measured on it.
        provenance: Recipe, seeds, versions, data digests.
        reference: Sketches of the training data, for drift.
        card: Markdown for people.
    """

    path: Path | None
    schema: Schema
    modalities: Mapping[str, Modality]
    rules: Mapping[str, Rule]
    backend: Backend
    config: Mapping[str, Any]
    manifest: Manifest | None
    metrics: Mapping[str, Any]
    provenance: Mapping[str, Any]
    reference: Mapping[str, Any]
    card: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Names in the order of `predict_proba`'s columns; empty for regression.

        Raises:
            DataError: There are several targets; ask `schema.targets`.
        """
        return self.schema.target.labels

    @property
    def calibration(self) -> dict[str, dict[str, Any]]:
        """Temperature, thresholds, mean and scale by target."""
        return {name: rule.calibration for name, rule in self.rules.items()}

    @property
    def file_columns(self) -> list[str]:
        """Columns whose strings name files."""
        return [name for name, modality in self.modalities.items() if modality.files]

    @property
    def history(self) -> list[Any]:
        """One record a validation, as training logged them."""
        return list(self.provenance.get("history", []))

    def answer(self, rows: Mapping[str, Sequence[Any]], *, progress: Progress = lambda done, total: None) -> Answers:
        """Logits, calibrated probabilities and decisions for raw rows: the one path from raw to answer.

        Args:
            rows: By column of the schema; further columns are ignored.
            progress: Called with (rows done, of all).

        Raises:
            UsageError: A column is missing or shorter than another.
        """
        logits, problems = run_rows(rows, self.modalities, self.backend, self.schema.targets, progress=progress)
        return self._decided(rows, logits, problems)

    def encode(self, rows: Mapping[str, Sequence[Any]]) -> list[dict[str, Encoded] | RowProblem]:
        """What the model reads of each row, by column; the problem of one that cannot be used.

        With `answer_encoded` it is `answer` in two steps, for a server that reads requests one by one and answers the
        rows of several at once.

        Args:
            rows: As for `answer`.

        Raises:
            UsageError: A column is missing or shorter than another.
        """
        return encode_rows(rows, self.modalities, range(count_rows(rows, list(self.modalities))))

    def positions(self, encoded: Mapping[str, Encoded]) -> int:
        """What a row that `encode` gave takes of a batch's budget, >= 1."""
        return row_length(encoded, self.modalities)

    def answer_encoded(
        self, rows: Mapping[str, Sequence[Any]], encoded: Sequence[Mapping[str, Encoded] | RowProblem]
    ) -> Answers:
        """The second step of `answer`.

        Args:
            rows: Raw values by column, as they were encoded.
            encoded: What `encode` gave for them, a row each.
        """
        logits, problems = run_encoded(encoded, self.modalities, self.backend, self.schema.targets)
        return self._decided(rows, logits, problems)

    def _decided(
        self, rows: Mapping[str, Sequence[Any]], logits: dict[str, np.ndarray], problems: dict[int, RowProblem]
    ) -> Answers:
        probabilities = {name: self.rules[name].probabilities(values) for name, values in logits.items()}
        for target in self.schema.targets:
            if target.ranked:
                probabilities[target.name] = without_barred(
                    target, probabilities[target.name], rows, self.modalities, skipped=problems
                )
        predictions = {name: self.rules[name].decide(_defined(values)) for name, values in probabilities.items()}
        confidence = {name: self.rules[name].confidence(_defined(values)) for name, values in probabilities.items()}
        for row in problems:
            for name in logits:
                predictions[name][row] = None
                confidence[name][row] = np.nan
        return Answers(logits, probabilities, predictions, confidence, problems)

    def predict(self, values: Any, *, target: str | None = None) -> list[Any]:
        """Label names, tuples of names (multilabel; tagging, one a unit) or numbers, one a row.

        Args:
            values: A list of values for the only column, a list of dicts, or columns by name (dict or data frame).
            target: Which one, where there are several.

        Raises:
            RowError: A row cannot be used; `answer` gives the others.
        """
        return self._whole(values).predictions[self._target(target).name]

    def predict_proba(self, values: Any, *, target: str | None = None) -> np.ndarray:
        """Calibrated probabilities `[N, K]`, columns in the order of `labels`; of tagging N arrays `[U, K]`.

        Args:
            values: As for `predict`.
            target: Which one, where there are several.

        Raises:
            RowError: A row cannot be used; `answer` gives the others.
            UsageError: The target is a number, not a label.
        """
        chosen = self._target(target)
        if chosen.task == "regression":
            raise UsageError(f"{chosen.name!r} is a number and has no probabilities", "use predict")
        return self._whole(values).probabilities[chosen.name]

    def columns(self, values: Any) -> dict[str, list[Any]]:
        """`values` as raw columns by name.

        Raises:
            MissingColumn: Columns by name, and one that the model reads is not among them.
            UsageError: They have a shape that fits no column.
        """
        names = [column.name for column in self.schema.columns]
        if isinstance(values, str):
            raise UsageError("one string was given where a list of values is needed", "write predict([text])")
        if hasattr(values, "columns") or isinstance(values, Mapping):  # a frame or a mapping
            for name in names:
                if name not in values:
                    raise MissingColumn(
                        "this model", name, [str(other) for other in getattr(values, "columns", values)]
                    )
            return {name: list(values[name]) for name in names}
        if not isinstance(values, Iterable):
            raise UsageError(f"{values!r} is no list of values", "write predict([text])")
        listed = list(values)
        if listed and all(isinstance(row, Mapping) for row in listed):
            return {name: [row.get(name) for row in listed] for name in names}
        if len(names) != 1:
            raise UsageError(f"this model reads the columns {names}", "give a list of dicts or columns by name")
        return {names[0]: listed}

    def _whole(self, values: Any) -> Answers:
        answers = self.answer(self.columns(values))
        if answers.problems:
            row, problem = next(iter(answers.problems.items()))
            raise RowError(
                f"{len(answers.problems)} of {len(answers)} values cannot be used, "
                f"first at position {row}: {problem.message}",
                "`answer` gives the others",
                code=problem.code,
            )
        return answers

    def _target(self, name: str | None) -> Target:
        if name is None:
            return self.schema.target
        found = [target for target in self.schema.targets if target.name == name]
        if not found:
            raise UsageError(f"there is no target {name!r}", f"known: {[t.name for t in self.schema.targets]}")
        return found[0]


def _defined(probabilities: np.ndarray) -> np.ndarray:
    """Numbers to decide on where a row has none; the caller blanks those rows. Units that were cut stay without."""
    if is_ragged(probabilities):
        return probabilities
    return np.asarray(np.nan_to_num(probabilities, nan=0.0))
