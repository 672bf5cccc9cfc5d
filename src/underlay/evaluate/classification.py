"""What is measured of answers that are one label of several, or any number of them."""

import numpy as np
from scipy import sparse

from underlay.evaluate.calibration import bin_columns, ece_of_sums
from underlay.evaluate.interval import Statistic
from underlay.evaluate.ranking import mean_influence, precision_recall_area, roc_area

SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1 in logarithms, as scikit-learn does for float64."""


def single_label(probabilities: np.ndarray, truth: np.ndarray, predictions: np.ndarray) -> dict[str, Statistic]:
    """Statistics of a binary or multiclass target.

    `macro_f1` averages over the labels that occur in truth or predictions; the areas are one-vs-rest and averaged
    over the labels that occur, or those of the second label when there are two. `brier` is 0 to 1 for two labels
    and 0 to 2 (the sum over labels) otherwise. All as scikit-learn defines them.

    Args:
        probabilities: `[N, K]`, rows sum to 1.
        truth: `[N]`, label indices.
        predictions: `[N]`, label indices.
    """
    labels = probabilities.shape[1]
    right = (predictions == truth).astype(np.float64)
    counts = _counts(truth, predictions, labels)
    hot = np.zeros_like(probabilities)
    hot[np.arange(len(truth)), truth] = 1
    confidence = probabilities[np.arange(len(truth)), predictions]
    brier = ((probabilities - hot) ** 2).sum(1) / (2 if labels == 2 else 1)
    found = {
        "accuracy": Statistic(right[:, None], lambda sums: sums[:, 0] / len(truth), proportion=True),
        "macro_f1": Statistic(counts, macro_f1),
        "micro_f1": Statistic(right[:, None], lambda sums: sums[:, 0] / len(truth), proportion=True),
        "mcc": Statistic(counts, matthews, bounds=(-1.0, 1.0)),
        "log_loss": mean_of(-np.log(np.clip(probabilities[hot > 0], SMALLEST, None)), top=np.inf),
        "brier": mean_of(brier, top=2.0),
        "ece": Statistic(bin_columns(confidence, right), ece_of_sums, biased=True),
    }
    sides = range(labels) if labels > 2 else [1]
    return found | _areas(probabilities, hot > 0, sides)


def many_labels(probabilities: np.ndarray, truth: np.ndarray, predictions: np.ndarray) -> dict[str, Statistic]:
    """Statistics of a multilabel target; `log_loss`, `brier` and `ece` take every cell as one decision.

    Args:
        probabilities: `[N, K]`, each 0 to 1.
        truth: `[N, K]` of 0 and 1.
        predictions: `[N, K]` of 0 and 1.
    """
    truth, predictions = truth > 0, predictions > 0
    counts = np.concatenate([truth & predictions, truth, predictions], axis=1).astype(np.float64)
    log = np.log(np.clip(np.where(truth, probabilities, 1 - probabilities), SMALLEST, None))
    found = {
        "subset_accuracy": Statistic(
            (truth == predictions).all(1, keepdims=True).astype(np.float64),
            lambda sums: sums[:, 0] / len(truth),
            proportion=True,
        ),
        "macro_f1": Statistic(counts, lambda sums: macro_f1(sums, absent=0.0)),
        "micro_f1": Statistic(counts, micro_f1),
        "log_loss": mean_of(-log.mean(1), top=np.inf),
        "brier": mean_of(((probabilities - truth) ** 2).mean(1), top=1.0),
        "ece": Statistic(
            bin_columns(np.where(predictions, probabilities, 1 - probabilities), truth == predictions),
            ece_of_sums,
            biased=True,
        ),
    }
    return found | _areas(probabilities, truth, range(truth.shape[1]))


def mean_of(rows: np.ndarray, *, top: float = 1.0) -> Statistic:
    """The mean of one number a row."""
    return Statistic(rows[:, None], lambda sums: sums[:, 0] / len(rows), bounds=(0.0, top))


def _areas(probabilities: np.ndarray, truth: np.ndarray, labels: "range | list[int]") -> dict[str, Statistic]:
    pairs = [(probabilities[:, label], truth[:, label]) for label in labels]
    found = {
        "roc_auc": mean_influence([roc_area(*pair) for pair in pairs]),
        "pr_auc": mean_influence([precision_recall_area(*pair) for pair in pairs]),
    }
    return {name: statistic for name, statistic in found.items() if statistic is not None}


def _counts(truth: np.ndarray, predictions: np.ndarray, labels: int) -> sparse.csr_array:
    """Columns whose sums are, by label: found rightly, true, predicted."""
    rows = np.arange(len(truth))
    right = np.flatnonzero(truth == predictions)
    row = np.concatenate([right, rows, rows])
    column = np.concatenate([truth[right], truth + labels, predictions + 2 * labels])
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=(len(truth), 3 * labels))


def macro_f1(sums: np.ndarray, *, absent: float = np.nan) -> np.ndarray:
    """The mean F1 over labels; a label in neither truth nor predictions counts as `absent` (NaN: not at all)."""
    right, true, said = np.split(sums, 3, axis=1)
    each = np.where(true + said > 0, 2 * right / np.maximum(true + said, 1), absent)
    return np.asarray(np.nanmean(each, axis=1))


def micro_f1(sums: np.ndarray) -> np.ndarray:
    """F1 of all decisions together; 0 when nothing is true and nothing said."""
    right, true, said = (part.sum(1) for part in np.split(sums, 3, axis=1))
    return np.asarray(2 * right / np.maximum(true + said, 1))


def matthews(sums: np.ndarray) -> np.ndarray:
    """Matthews' correlation for K labels; 0 when truth or predictions are all one label.

    Source: Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004.
    """
    right, true, said = np.split(sums, 3, axis=1)
    total = true.sum(1)
    above = right.sum(1) * total - (true * said).sum(1)
    below = np.sqrt((total**2 - (said**2).sum(1)) * (total**2 - (true**2).sum(1)))
    return np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)
