"""What a changed model loses, in points, on rows whose answer is known, both models asked the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from underlay.bundle import Answers, Backend, Bundle
from underlay.core import Target, UsageError, joined
from underlay.evaluate import METRICS, difference, measure
from underlay.evaluate.measure import key_metric, known_rows


@dataclass(frozen=True)
class Labelled:
    """Raw rows and what is true of them.

    Args:
        columns: Raw values by column.
        truths: By target, as `evaluate.measure` reads them.
    """

    columns: Mapping[str, Sequence[Any]]
    truths: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def first(self, count: int) -> "Labelled":
        """At most `count` rows."""
        return Labelled(
            {name: values[:count] for name, values in self.columns.items()},
            {name: values[:count] for name, values in self.truths.items()},
        )


@dataclass(frozen=True)
class Loss:
    """What one target lost.

    Args:
        target: Its name.
        metric: Its key metric.
        rows: Measured.
        was: Of the original.
        now: Of the changed model.
        points: Lost: a hundred times the difference, or per cent of an error that grew; below 0 it is better.
        low: Lower end of the 95 % interval, the same rows drawn for both.
        high: Upper end.
    """

    target: str
    metric: str
    rows: int
    was: float
    now: float
    points: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)


def require_points(points: float) -> None:
    """Pass a number of points that may be lost.

    Raises:
        UsageError: It is below 0, above 100 or no number.

    >>> require_points(-1)
    Traceback (most recent call last):
    underlay.core.errors.UsageError: --max-drop -1: points of a hundred are lost — give 0 to 100, such as 0.5
    """
    if not 0 <= points <= 100:
        raise UsageError(f"--max-drop {points:g}: points of a hundred are lost", "give 0 to 100, such as 0.5")


@dataclass(frozen=True)
class Judge:
    """Rows with their truth, and what the original says of them.

    Args:
        bundle: The original.
        labelled: The rows; those it cannot read are passed over.
        answers: Of the original.
    """

    bundle: Bundle
    labelled: Labelled
    answers: Answers

    @classmethod
    def of(cls, bundle: Bundle, labelled: Labelled) -> "Judge":
        """Ask the original.

        Raises:
            UsageError: No row can be read and has a truth of every target.
        """
        answers = bundle.answer(labelled.columns)
        good = np.ones(len(labelled), bool)
        good[list(answers.problems)] = False
        for target in bundle.schema.targets:
            good &= known_rows(target, labelled.truths[target.name])
        rows = np.flatnonzero(good)
        if not len(rows):
            raise UsageError(
                f"none of {len(labelled)} rows can be read and has an answer for {list(labelled.truths)}",
                "is this the right file?",
            )
        kept = Labelled(
            {name: [values[int(row)] for row in rows] for name, values in labelled.columns.items()},
            {name: values[rows] for name, values in labelled.truths.items()},
        )
        return cls(bundle, kept, _of_rows(answers, rows))

    def losses(self, backend: Backend) -> tuple[Loss, ...]:
        """What each target loses when `backend` answers instead."""
        return self.losses_of(replace(self.bundle, backend=backend))

    def losses_of(self, other: Bundle) -> tuple[Loss, ...]:
        """What each target loses when another bundle of the same schema answers instead, by its own thresholds."""
        answers = other.answer(self.labelled.columns)
        return tuple(self._loss(target, answers, other) for target in self.bundle.schema.targets)

    def moved(self, backend: Backend) -> float:
        """How far the logits move when `backend` answers instead, as a share of their own size; of the worst target."""
        answers = replace(self.bundle, backend=backend).answer(self.labelled.columns)
        return max(
            _share(joined(self.answers.logits[name]), joined(answers.logits[name])) for name in self.answers.logits
        )

    def _loss(self, target: Target, answers: Answers, other: Bundle) -> Loss:
        truth, name = self.labelled.truths[target.name], key_metric(target)
        was, now = (_scores(target, one) for one in (self.answers, answers))
        before, after = (list(one.rules[target.name].thresholds) or None for one in (self.bundle, other))
        figures = [
            measure(target, scores, truth, threshold=threshold, resamples=1)[name].value
            for scores, threshold in ((was, before), (now, after))
        ]
        gap = difference(target, now, was, truth, threshold=after, other_threshold=before)
        one_point = -100.0 if METRICS[name].higher else 100.0 / max(figures[0], np.finfo(float).tiny)
        low, high = sorted((gap.low * one_point, gap.high * one_point))
        return Loss(target.name, name, len(truth), figures[0], figures[1], gap.value * one_point, low, high)


def _of_rows(answers: Answers, rows: np.ndarray) -> Answers:
    return Answers(
        {name: values[rows] for name, values in answers.logits.items()},
        {name: values[rows] for name, values in answers.probabilities.items()},
        {name: [values[row] for row in rows] for name, values in answers.predictions.items()},
        {name: values[rows] for name, values in answers.confidence.items()},
        {},
    )


def _scores(target: Target, answers: Answers) -> np.ndarray:
    found = answers.probabilities[target.name]
    return found[:, 0] if target.task == "regression" else found


def _share(was: np.ndarray, now: np.ndarray) -> float:
    """Root mean square of what moved, by that of what was; units that were cut have no numbers and count for none."""
    known = np.isfinite(was)
    size = float(np.sqrt(np.mean(np.square(was[known], dtype=np.float64))))
    far = float(np.sqrt(np.mean(np.square(now[known] - was[known], dtype=np.float64))))
    return far / max(size, np.finfo(float).tiny)
