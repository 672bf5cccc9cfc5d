"""Everything that is measured of one target, as plain data that a report shows and a file keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from underlay.core import Target, joined, stream
from underlay.core.schema import Task
from underlay.evaluate.baselines import Baseline
from underlay.evaluate.calibration import Reliability, negative_log_likelihood, reliability, to_probabilities
from underlay.evaluate.confusion import Confusion, LabelFigures, confusion, label_figures
from underlay.evaluate.contributions import Contribution
from underlay.evaluate.interval import Interval
from underlay.evaluate.measure import Scores, decide, difference, key_metric, known_rows, measure
from underlay.evaluate.mistakes import Mistake, Thumbnail, confident_mistakes
from underlay.evaluate.ranked import ABSENT, Ranked
from underlay.evaluate.selective import RiskCoverage, risk_coverage
from underlay.evaluate.slices import Slice, slices
from underlay.evaluate.tags import by_unit, decide_tags, span_figures

MANY_ANSWERS = (
    "Confusion and calibration are of single units (words); what it costs to leave unsure rows to a person is not "
    "shown: a row has many answers."
)

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
        task: One of `core.schema.TASKS`.
        labels: In their order; empty for regression and rankings.
        count: Rows measured.
        key: The metric to name first.
        metrics: All of them, with intervals.
        opponents: The baselines.
        figures: By label; for tagging by kind of span.
        confusion: None for multilabel and regression; for tagging of units.
        calibration: None for regression, and where no logits were given; for tagging of units.
        coverage: None for multilabel, regression and tagging.
        slices: The key metric on parts of the rows.
        mistakes: The surest first.
        scatter: Regression only.
        contributions: What each of several inputs is worth, the dearest first.
        counted: What confusion and calibration count: `row`, or `unit` for tagging.
        notes: What was left out or counted otherwise, and why, one sentence each.
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
    counted: str = "row"
    notes: tuple[str, ...] = ()


def examine(
    target: Target,
    scores: Scores,
    truth: np.ndarray,
    *,
    values: Mapping[str, Sequence[Any]],
    logits: np.ndarray | None = None,
    temperature: float = 1.0,
    threshold: float | Sequence[float] | None = None,
    opponents: Sequence[Baseline] = (),
    columns: Mapping[str, Sequence[Any]] | None = None,
    places: Callable[[int], str] | None = None,
    thumbnails: Mapping[str, Thumbnail] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Examination:
    """Measure a target in every way this room knows; rows without a truth are set aside.

    Args:
        target: What was predicted.
        scores: Calibrated probabilities `[N, K]`, numbers `[N]`, or what `Ranked` keeps.
        truth: As `measure`.
        values: The raw values of each row by input, for the mistakes.
        logits: Before the temperature; None: calibration is not shown.
        temperature: What the logits were divided by.
        threshold: As `measure`.
        opponents: What `baselines` gave for the same rows.
        columns: What to slice by, one value a row.
        places: Row -> where a person finds it.
        thumbnails: By input whose values can be shown, what shows one.
        seed: Of resampling and sampling.
        resamples: Of the intervals.

    Raises:
        DataError: Scores and truth do not fit the target or one another.
    """
    if isinstance(scores, Ranked):
        truth = np.asarray(truth)
    elif not target.by_unit:
        scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    metrics = measure(target, scores, truth, threshold=threshold, seed=seed, resamples=resamples)
    known = known_rows(target, truth)
    if not known.any():
        return Examination(target.name, target.task, target.labels, 0, key_metric(target), {})
    beside = tuple(
        Opponent(
            other.name,
            other.metrics,
            other.seconds,
            difference(
                target,
                scores[known],
                other.scores[known],
                truth[known],
                threshold=threshold,
                seed=seed,
                resamples=resamples,
            ),
        )
        for other in opponents
    )
    parts = slices(target, scores, truth, columns=columns or {}, threshold=threshold, seed=seed, resamples=resamples)
    mistakes = confident_mistakes(
        target, scores, truth, values=values, places=places, threshold=threshold, thumbnails=thumbnails
    )
    if isinstance(scores, Ranked) or target.ranked:
        return Examination(
            target=target.name,
            task=target.task,
            labels=(),
            count=int(known.sum()),
            key=key_metric(target),
            metrics=metrics,
            opponents=beside,
            slices=parts,
            mistakes=mistakes,
            notes=_of_ranking(target, truth[known]),
        )
    if target.by_unit:
        answers = _units(target, scores[known], truth[known])
        logits = None if logits is None else _logits_of_units(logits[known], truth[known])
        figures = span_figures(target, scores[known], truth[known])
    else:
        answers = _Answers(target, scores[known], truth[known], threshold)
        logits = None if logits is None else np.asarray(logits)[known]
        figures = () if target.task == "regression" else label_figures(target, answers.predictions, answers.truth)
    return Examination(
        target=target.name,
        task=target.task,
        labels=target.labels,
        count=int(known.sum()),
        key=key_metric(target),
        metrics=metrics,
        opponents=beside,
        figures=figures,
        confusion=confusion(target, answers.predictions, answers.truth) if answers.single else None,
        calibration=None if logits is None else _calibration(answers, logits, temperature),
        coverage=risk_coverage(answers.confidence, answers.right) if answers.single and not target.by_unit else None,
        slices=parts,
        mistakes=mistakes,
        scatter=_scatter(answers, seed) if target.task == "regression" else None,
        counted="unit" if target.by_unit else "row",
        notes=_notes(scores[known], truth[known]) if target.by_unit else (),
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


def _of_ranking(target: Target, truth: np.ndarray) -> tuple[str, ...]:
    """How the ranking was made, and what could not be in it."""
    found = [f"Each answer ranks all {len(target.labels):,} items; none is sampled."]
    if cold := int((truth == ABSENT).sum()):
        share = f"{cold / len(truth):.1%}".replace("%", " %")
        found.append(f"{cold:,} rows ({share}) ask for an item that training has not seen; they count as misses.")
    return tuple(found)


def _units(target: Target, scores: np.ndarray, truth: np.ndarray) -> _Answers:
    """The units of all rows, each an answer of one label."""
    units = by_unit(scores, truth, decide_tags(target, scores))
    return _Answers(replace(target, task="multiclass"), units.scores, units.truth, None)


def _logits_of_units(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    flat, known = joined(logits), joined(truth)
    return np.asarray(flat[(known >= 0) & np.isfinite(flat).all(-1)])


def _notes(scores: np.ndarray, truth: np.ndarray) -> tuple[str, ...]:
    found = [MANY_ANSWERS]
    cut = int((~np.isfinite(joined(scores)).all(-1) & (joined(truth) >= 0)).sum())
    if cut:
        found.append(
            f"{cut:,} labelled units stood beyond model.max_length and were not read; they count as answered outside "
            "every span."
        )
    return tuple(found)


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
