"""The figures of a target, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.core import DataError, Target, are_span_tags
from underlay.core.schema import Task
from underlay.evaluate.classification import many_labels, single_label
from underlay.evaluate.interval import Interval, Statistic, intervals, percentile_interval, resampled_sums
from underlay.evaluate.ranked import Ranked, ranking
from underlay.evaluate.regression import numbers
from underlay.evaluate.tags import check_tags, decide_tags, tag_statistics

UNLABELLED = -100

Scores = np.ndarray | Ranked
"""What is measured: an array, or of rankings what was kept of one."""


@dataclass(frozen=True)
class Metric:
    """How a figure is called and read.

    Args:
        title: For people.
        higher: Whether more is better.
        percent: Shown in per cent.
        about: Half a line.
    """

    title: str
    higher: bool
    percent: bool
    about: str


METRICS: dict[str, Metric] = {
    "accuracy": Metric("Accuracy", True, True, "share of rows answered rightly"),
    "f1": Metric("F1", True, True, "of spans: both ends and the kind right"),
    "precision": Metric("Precision", True, True, "of the spans said, how many are"),
    "recall": Metric("Recall", True, True, "of the spans there are, how many were said"),
    "token_accuracy": Metric("Token accuracy", True, True, "share of words tagged rightly; most lie outside"),
    "exact_match": Metric("Exact match", True, True, "share of rows without a mistake"),
    "ndcg@10": Metric("NDCG@10", True, False, "gain of the item that came, by its place among the first ten"),
    "hr@10": Metric("HR@10", True, True, "share of rows whose item was among the first ten"),
    "mrr": Metric("MRR", True, False, "mean of one over the place of the item that came, among all"),
    "subset_accuracy": Metric("Subset accuracy", True, True, "share of rows with exactly the right labels"),
    "macro_f1": Metric("Macro F1", True, True, "F1 averaged over labels, rare ones count as much"),
    "micro_f1": Metric("Micro F1", True, True, "F1 of all decisions together; one label a row: the accuracy"),
    "roc_auc": Metric("ROC AUC", True, False, "chance that a row of the label scores above another"),
    "pr_auc": Metric("PR AUC", True, False, "average precision over all thresholds"),
    "mcc": Metric("MCC", True, False, "Matthews correlation, 0 is chance"),
    "log_loss": Metric("Log loss", False, False, "nats a row, punishes confident mistakes"),
    "brier": Metric("Brier score", False, False, "mean squared error of the probabilities"),
    "ece": Metric("Calibration error", False, True, "mean gap between confidence and accuracy (ECE)"),
    "mae": Metric("Mean absolute error", False, False, "in units of the target"),
    "rmse": Metric("Root mean squared error", False, False, "in units of the target"),
    "r2": Metric("R²", True, False, "share of the variance explained"),
    "spearman": Metric("Spearman correlation", True, False, "agreement in order"),
}

KEY_METRIC: dict[Task, str] = {
    "binary": "accuracy",
    "multiclass": "accuracy",
    "multilabel": "micro_f1",
    "regression": "mae",
    "tagging": "f1",
    "next-item": "ndcg@10",
}


def key_metric(target: Target) -> str:
    """The metric to name first: of tags that mark no spans, their accuracy.

    >>> key_metric(Target("tags", "tagging", ("NOUN", "VERB"))), key_metric(Target("tags", "tagging", ("B-a", "O")))
    ('token_accuracy', 'f1')
    """
    plain = target.by_unit and not are_span_tags(target.labels)
    return "token_accuracy" if plain else KEY_METRIC[target.task]


def measure(
    target: Target,
    scores: Scores,
    truth: np.ndarray,
    *,
    threshold: float | Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Interval]:
    """Every metric of the target's task with its 95 % interval; what cannot be said of these rows is left out.

    Args:
        target: What was predicted.
        scores: Probabilities `[N, K]`, or predicted numbers `[N]` for regression; for tagging an array a row `[U, K]`;
            of a ranked target also what `Ranked` keeps of them.
        truth: Label indices `[N]`, `[N, K]` of 0 and 1, or numbers `[N]`; rows of -100 or NaN are set aside. For
            tagging an array of label indices a row, `[U]`; of a ranked target -1 where it is none of the labels.
        threshold: Of the second label (binary), or one a label (multilabel, .5 by default); None: the likeliest.
        seed: Of the resampling.
        resamples: How many.

    Raises:
        DataError: Scores and truth do not fit the target or one another.

    >>> target = Target("mood", "binary", ("bad", "good"))
    >>> figures = measure(target, np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    >>> figures["accuracy"].value
    1.0
    """
    return intervals(statistics(target, scores, truth, threshold=threshold), seed=seed, resamples=resamples)


def statistics(
    target: Target, scores: Scores, truth: np.ndarray, *, threshold: float | Sequence[float] | None = None
) -> dict[str, Statistic]:
    """What `measure` resamples.

    Raises:
        DataError: As `measure`.
    """
    known, truth = labelled(target, scores, truth)
    if not len(truth):
        return {}
    if target.task == "regression":
        return numbers(known, truth)
    if target.by_unit:
        return tag_statistics(target, known, truth)
    if target.ranked:
        return ranking(known, truth)
    predictions = decide(target, known, threshold=threshold)
    if target.task == "multilabel":
        return many_labels(known, truth, predictions)
    return single_label(known, truth, predictions)


def decide(target: Target, scores: Scores, *, threshold: float | Sequence[float] | None = None) -> np.ndarray:
    """Predictions from scores: indices `[N]`, of tagging an array a row, 0 and 1 `[N, K]` of multilabel, or numbers."""
    if isinstance(scores, Ranked):
        return scores.best
    if target.task == "regression":
        return np.asarray(scores, dtype=np.float64).reshape(-1)
    if target.by_unit:
        return decide_tags(target, scores)
    if target.task == "multilabel":
        return (scores >= (0.5 if threshold is None else np.asarray(threshold))).astype(np.int64)
    if target.task == "binary" and threshold is not None:
        return (scores[:, 1] >= threshold).astype(np.int64)
    return np.asarray(scores.argmax(1), dtype=np.int64)


def labelled(target: Target, scores: Scores, truth: np.ndarray) -> tuple[Any, np.ndarray]:
    """Scores and truth of the rows that have a truth, in double precision and whole numbers.

    Raises:
        DataError: The shapes do not fit, or scores are not finite.
    """
    if isinstance(scores, Ranked):
        known = known_rows(target, np.asarray(truth))
        return scores[known], np.asarray(truth)[known].astype(np.int64)
    if target.by_unit:
        known = known_rows(target, truth)
        check_tags(target, scores[known], truth[known])
        return scores[known], truth[known]
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth)
    if target.task == "regression":
        scores = scores.reshape(-1)
    shape = (len(truth),) if target.task == "regression" else (len(truth), len(target.labels))
    if scores.shape != shape or truth.shape != (shape if target.task == "multilabel" else shape[:1]):
        raise DataError(
            f"target {target.name!r} ({target.task}) has scores {scores.shape} and truth {truth.shape}",
            f"scores {shape} fit this truth",
        )
    if not np.isfinite(scores).all():
        raise DataError(f"scores of target {target.name!r} are not finite in {int((~np.isfinite(scores)).sum())} cells")
    known = known_rows(target, truth)
    truth = truth[known].astype(np.float64 if target.task == "regression" else np.int64)
    return scores[known], truth


def known_rows(target: Target, truth: np.ndarray) -> np.ndarray:
    """Which rows have a truth, `[N]` of bool."""
    if target.task == "regression":
        return np.asarray(np.isfinite(truth))
    if target.by_unit:
        return np.array([bool((row >= 0).any()) for row in truth], dtype=bool)
    known = truth != UNLABELLED
    return np.asarray(known.all(1) if truth.ndim == 2 else known)


def difference(
    target: Target,
    scores: Scores,
    other: Scores,
    truth: np.ndarray,
    *,
    metric: str | None = None,
    threshold: float | Sequence[float] | None = None,
    other_threshold: float | Sequence[float] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Interval:
    """`scores` minus `other` in one metric, resampling the same rows for both.

    An interval that leaves out 0 says that one is better on rows like these.

    Args:
        target: What was predicted.
        scores: Of the one model, as in `measure`.
        other: Of the other model.
        truth: As in `measure`.
        metric: Its name; None: the task's key metric.
        threshold: As `measure`, of the one model.
        other_threshold: Of the other; None: it decides by its likeliest label.
        seed: Of the resampling.
        resamples: How many.
    """
    name = metric or key_metric(target)
    pair = {
        "one": statistics(target, scores, truth, threshold=threshold)[name],
        "other": statistics(target, other, truth, threshold=other_threshold)[name],
    }
    rows = pair["one"].columns.shape[0]
    drawn = resampled_sums(pair, rows, seed=seed, resamples=resamples)
    values = {side: pair[side].finish(drawn[side]) for side in pair}
    whole = {side: pair[side].finish(np.asarray(pair[side].columns.sum(0)).reshape(1, -1))[0] for side in pair}
    return percentile_interval(float(whole["one"] - whole["other"]), values["one"] - values["other"])
