"""Everything that is measured of one target, as plain data that a report shows and a file keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import Target, stream
from underlay.core.schema import Task
from underlay.evaluate.baselines import Baseline
from underlay.evaluate.calibration import Reliability, negative_log_likelihood, reliability, to_probabilities
from underlay.evaluate.confusion import Confusion, LabelFigures, confusion, label_figures
from underlay.evaluate.contributions import Contribution
from underlay.evaluate.interval import Interval
from underlay.evaluate.measure import KEY_METRIC, decide, difference, known_rows, measure
from underlay.evaluate.mistakes import Mistake, confident_mistakes
from underlay.evaluate.selective import RiskCoverage, risk_coverage
from underlay.evaluate.slices import Slice, slices

POINTS = 500
"""Dots of a scatter plot: enough to see a shape, few enough for a small file."""


@dataclass(frozen=True)
class Opponent:
    """A baseline beside the model.

    Args:
        name: For people.
        metrics: As the model's.
        seconds: Fitting and answering.
        gap: The model minus the baseline in the key metric, over the same resampled rows.
    """

    name: str
    metrics: Mapping[str, Interval]
    seconds: float
    gap: Interval


@dataclass(frozen=True)
class Calibration:
    """What dividing the logits by one number did.

    Args:
        temperature: That number; above 1 the model was too sure.
        before: Confidence beside accuracy without it.
        after: And with it.
        log_loss: Without and with it, on the rows measured.
    """

    temperature: float
    before: Reliability
    after: Reliability
    log_loss: tuple[float, float]


@dataclass(frozen=True)
class Scatter:
    """Numbers predicted beside true ones, a sample of the rows.

    Args:
        truth: What they are.
        prediction: What was said.
    """

    truth: tuple[float, ...]
    prediction: tuple[float, ...]


@dataclass(frozen=True)
class Examination:
    """One target examined on rows the model has not seen.

    Args:
        target: The column.
        task: `binary`, `multiclass`, `multilabel` or `regression`.
        labels: In their order; empty for regression.
        count: Rows measured.
        key: The metric to name first.
        metrics: All of them, with intervals.
        opponents: The baselines.
        figures: By label.
        confusion: None for multilabel and regression.
        calibration: None for regression, and where no logits were given.
        coverage: None for multilabel and regression.
        slices: The key metric on parts of the rows.
        mistakes: The surest first.
        scatter: Regression only.
        contributions: What each of several inputs is worth, the dearest first.
    """

    target: str
    task: Task
    labels: tuple[str, ...]
    count: int
    key: str
    metrics: Mapping[str, Interval]
    opponents: tuple[Opponent, ...] = ()
    figures: tuple[LabelFigures, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    coverage: RiskCoverage | None = None
    slices: tuple[Slice, ...] = ()
    mistakes: tuple[Mistake, ...] = field(default=())
    scatter: Scatter | None = None
    contributions: tuple[Contribution, ...] = ()


def examine(
    target: Target,
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    values: Mapping[str, Sequence[Any]],
    logits: np.ndarray | None = None,
    temperature: float = 1.0,
    threshold: float | Sequence[float] | None = None,
    opponents: Sequence[Baseline] = (),
    columns: Mapping[str, Sequence[Any]] | None = None,
    places: Callable[[int], str] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Examination:
    """Measure a target in every way this room knows; rows without a truth are set aside.

    Args:
        target: What was predicted.
        scores: Calibrated probabilities `[N, K]`, or numbers `[N]`.
        truth: As `measure`.
        values: The raw values of each row by input, for the mistakes.
        logits: Before the temperature; None: calibration is not shown.
        temperature: What the logits were divided by.
        threshold: As `measure`.
        opponents: What `baselines` gave for the same rows.
        columns: What to slice by, one value a row.
        places: Row -> where a person finds it.
        seed: Of resampling and sampling.
        resamples: Of the intervals.

    Raises:
        DataError: Scores and truth do not fit the target or one another.
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    metrics = measure(target, scores, truth, threshold=threshold, seed=seed, resamples=resamples)
    known = known_rows(target, truth)
    if not known.any():
        return Examination(target.name, target.task, target.labels, 0, KEY_METRIC[target.task], {})
    answers = _Answers(target, scores[known], truth[known], threshold)
    return Examination(
        target=target.name,
        task=target.task,
        labels=target.labels,
        count=int(known.sum()),
        key=KEY_METRIC[target.task],
        metrics=metrics,
        opponents=tuple(
            Opponent(
                other.name,
                other.metrics,
                other.seconds,
                _gap(answers, other.scores[known], seed=seed, resamples=resamples),
            )
            for other in opponents
        ),
        figures=() if target.task == "regression" else label_figures(target, answers.predictions, answers.truth),
        confusion=confusion(target, answers.predictions, answers.truth) if answers.single else None,
        calibration=None if logits is None else _calibration(answers, np.asarray(logits)[known], temperature),
        coverage=risk_coverage(answers.confidence, answers.right) if answers.single else None,
        slices=slices(
            target, scores, truth, columns=columns or {}, threshold=threshold, seed=seed, resamples=resamples
        ),
        mistakes=confident_mistakes(target, scores, truth, values=values, places=places, threshold=threshold),
        scatter=_scatter(answers, seed) if target.task == "regression" else None,
    )


class _Answers:
    """Scores, truth and what follows from them, over the rows that have a truth."""

    def __init__(
        self, target: Target, scores: np.ndarray, truth: np.ndarray, threshold: float | Sequence[float] | None
    ) -> None:
        self.target, self.scores, self.threshold = target, scores, threshold
        self.truth = truth.astype(np.float64 if target.task == "regression" else np.int64)
        self.predictions = decide(target, scores, threshold=threshold)
        self.single = target.task in ("binary", "multiclass")
        self.right = self.predictions == self.truth
        self.confidence = self.sureness(scores)

    def sureness(self, scores: np.ndarray) -> np.ndarray:
        """The probability given to each decision, `[N]` or `[N, K]`."""
        if self.single:
            return np.asarray(np.take_along_axis(scores, self.predictions[:, None], axis=1)[:, 0])
        return np.asarray(np.where(self.predictions == 1, scores, 1 - scores))


def _gap(answers: _Answers, other: np.ndarray, *, seed: int, resamples: int) -> Interval:
    return difference(
        answers.target,
        answers.scores,
        other,
        answers.truth,
        threshold=answers.threshold,
        seed=seed,
        resamples=resamples,
    )


def _calibration(answers: _Answers, logits: np.ndarray, temperature: float) -> Calibration | None:
    if answers.target.task == "regression":
        return None
    raw = to_probabilities(logits, multilabel=not answers.single)
    return Calibration(
        temperature=float(temperature),
        before=reliability(answers.sureness(raw).ravel(), answers.right.ravel()),
        after=reliability(answers.confidence.ravel(), answers.right.ravel()),
        log_loss=(
            negative_log_likelihood(logits, answers.truth),
            negative_log_likelihood(logits / temperature, answers.truth),
        ),
    )


def _scatter(answers: _Answers, seed: int) -> Scatter:
    rows = np.arange(len(answers.truth))
    if len(rows) > POINTS:
        rows = np.sort(stream(seed, "scatter").choice(rows, POINTS, replace=False))
    return Scatter(tuple(answers.truth[rows].tolist()), tuple(answers.predictions[rows].tolist()))
