"""A bundle as a server asks it: rows of several requests at once, and a row that breaks the model breaks alone."""

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.bundle import Answers, Bundle
from underlay.core import Encoded, RowProblem, Target
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import pointer

LOG = logging.getLogger("underlay.serve")


@dataclass(frozen=True)
class Said:
    """What is answered of one target of one row.

    Args:
        prediction: A label name, a tuple of names, or a number.
        confidence: Calibrated; NaN for a number.
        probabilities: `[K]`, of a tagging target `[U, K]`; of a number `[1]`, which it is.
    """

    prediction: Any
    confidence: float
    probabilities: np.ndarray


Answer = Mapping[str, Said]
"""Of one row, by target."""

Values = Mapping[str, Any]
"""One raw row, by column."""


@dataclass(frozen=True)
class Served:
    """A bundle under a name.

    Args:
        name: In addresses.
        bundle: Opened, so its golden rows have been answered as they were when it was sealed.
        label: What tells it apart from others of the name; None: the start of its seal.
    """

    name: str
    bundle: Bundle
    label: str | None = None

    @property
    def version(self) -> str:
        """What tells two bundles of one name apart."""
        return self.seal[:12] if self.label is None else self.label

    @property
    def seal(self) -> str:
        """What tells two bundles apart for good."""
        return self.bundle.manifest.seal if self.bundle.manifest is not None else "unsealed"

    @property
    def columns(self) -> list[str]:
        """That a row has."""
        return [column.name for column in self.bundle.schema.columns]

    @property
    def targets(self) -> tuple[Target, ...]:
        """That are answered."""
        return self.bundle.schema.targets

    def read(self, rows: Mapping[str, Sequence[Any]]) -> list[Mapping[str, Encoded] | Refusal]:
        """What the model reads of each row; why not, where it cannot.

        Args:
            rows: Raw values by column.
        """
        count = len(rows[self.columns[0]])
        try:
            read: Sequence[Mapping[str, Encoded] | RowProblem] = self.bundle.encode(rows)
        except Exception as error:  # noqa: BLE001 - whatever breaks on one row is found by reading each alone
            if count == 1:
                log_failure("row_failed", error)
                return [Refusal("row_failed")]
            alone = [{name: [values[at]] for name, values in rows.items()} for at in range(count)]
            return [found for row in alone for found in self.read(row)]
        return [
            self._refusal(row, {name: values[at] for name, values in rows.items()})
            if isinstance(row, RowProblem)
            else row
            for at, row in enumerate(read)
        ]

    def answer(self, rows: Sequence[tuple[Values, Mapping[str, Encoded]]]) -> list[Answer | Refusal]:
        """An answer a row, in their order; rows that break the model are found by halving and refused alone.

        Args:
            rows: Raw and read.
        """
        columns = {name: [values[name] for values, _ in rows] for name in self.columns}
        try:
            with np.errstate(all="ignore"):  # what is not finite is seen below, row by row
                answers = self.bundle.answer_encoded(columns, [encoded for _, encoded in rows])
        except Exception as error:  # noqa: BLE001 - as above; the others of the batch are answered
            if len(rows) == 1:
                log_failure("row_failed", error)
                return [Refusal("row_failed")]
            half = len(rows) // 2
            return [*self.answer(rows[:half]), *self.answer(rows[half:])]
        return [self._said(answers, place) for place in range(len(rows))]

    def _refusal(self, problem: RowProblem, row: Values) -> Refusal:
        """Its code and the column: the first that reads its value so again."""
        for name, modality in self.bundle.modalities.items():
            (read,) = modality.encode_many([row[name]])
            if isinstance(read, RowProblem) and read.code == problem.code:
                return Refusal(problem.code, field=pointer([name]))
        return Refusal(problem.code)

    def _said(self, answers: Answers, place: int) -> Answer | Refusal:
        if place in answers.problems:
            return Refusal(answers.problems[place].code)
        found = {
            target.name: Said(
                answers.predictions[target.name][place],
                float(answers.confidence[target.name][place]),
                answers.probabilities[target.name][place],
            )
            for target in self.targets
        }
        finite = (_finite(found[target.name].probabilities, target) for target in self.targets)
        return found if all(finite) else Refusal("row_not_finite")


def log_failure(event: str, error: BaseException) -> None:
    """Say what broke and where; not with which words, which may hold what was sent."""
    steps = traceback.extract_tb(error.__traceback__)
    where = f"{steps[-1].filename}:{steps[-1].lineno}" if steps else ""
    LOG.error(event, extra={"fields": {"error": type(error).__name__, "where": where}})


def _finite(probabilities: np.ndarray, target: Target) -> bool:
    """Whether there is an answer; of units, those that were cut have none, nor has a row without any."""
    if target.by_unit:
        return not len(probabilities) or bool(np.isfinite(probabilities).all(-1).any())
    return bool(np.isfinite(probabilities).all())
