"""Probabilities that mean what they say: temperature, reliability bins, expected calibration error."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp, softmax

BINS = 15
RANGE = (0.05, 20.0)
"""Temperatures searched: beyond them a model is broken rather than miscalibrated."""


@dataclass(frozen=True)
class Reliability:
    """Said and found, by bins of confidence of equal width; empty bins are left out.

    Args:
        confidence: Mean confidence in the bin.
        accuracy: Share of right answers in the bin.
        count: Rows in the bin.
        ece: Expected calibration error, 0 (best) to 1.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    ece: float


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The number to divide logits by so that the negative log-likelihood is least; never worse than 1.

    Fit it on validation rows. Without a single wrong answer the likelihood has no minimum, and 1 is given.

    Args:
        logits: `[N, K]`.
        truth: `[N]` label indices (softmax), or `[N, K]` of 0 and 1 (a sigmoid a label).

    >>> logits = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    >>> round(fit_temperature(logits, np.array([0, 0, 0, 1])), 2)  # sure at 98 %, right at 75 %
    3.64

    Source: Guo et al., On calibration of modern neural networks, ICML 2017, 4.2.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if not len(logits) or (_decided(logits, truth) == truth).all():
        return 1.0
    from scipy.optimize import minimize_scalar

    low, high = np.log(RANGE)
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits / np.exp(log), truth),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    better = found.fun < negative_log_likelihood(logits, truth)
    return float(np.exp(found.x)) if better else 1.0


def _decided(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return logits.argmax(1) if truth.ndim == 1 else (logits > 0).astype(truth.dtype)


def negative_log_likelihood(logits: np.ndarray, truth: np.ndarray) -> float:
    """Mean over rows (and labels, for a `[N, K]` truth), in nats."""
    if truth.ndim == 1:
        return float((logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth]).mean())
    return float((np.logaddexp(0.0, logits) - logits * truth).mean())


def to_probabilities(logits: np.ndarray, temperature: float = 1.0, *, multilabel: bool = False) -> np.ndarray:
    """Softmax over labels, or a sigmoid a label, of `logits / temperature`."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    return np.asarray(expit(scaled) if multilabel else softmax(scaled, axis=1))


def reliability(confidence: np.ndarray, right: np.ndarray, *, bins: int = BINS) -> Reliability:
    """Confidence beside accuracy, by bins of equal width.

    Args:
        confidence: Of the given answer, `[N]`.
        right: Whether it was right, `[N]`.
        bins: How many.
    """
    sums = bin_columns(confidence, right, bins=bins).sum(0)
    gap, count = sums[:bins], sums[bins:]
    said = np.bincount(_bin(confidence, bins), weights=np.ravel(confidence), minlength=bins)
    full = count > 0
    rows = np.maximum(count, 1)
    return Reliability(
        confidence=tuple((said / rows)[full].tolist()),
        accuracy=tuple(((said - gap) / rows)[full].tolist()),
        count=tuple(count[full].astype(int).tolist()),
        ece=float(np.abs(gap).sum() / max(count.sum(), 1)),
    )


def bin_columns(confidence: np.ndarray, right: np.ndarray, *, bins: int = BINS) -> np.ndarray:
    """What each row adds to every bin's (confidence - accuracy) and count: `[N, 2 * bins]`.

    `confidence` and `right` are `[N]`, or `[N, K]` with K decisions a row.
    """
    confidence, right = np.atleast_2d(confidence.T).T, np.atleast_2d(np.asarray(right, dtype=np.float64).T).T
    rows = np.repeat(np.arange(len(confidence)), confidence.shape[1])
    place = _bin(confidence, bins)
    columns = np.zeros((len(confidence), 2 * bins))
    np.add.at(columns, (rows, place), (confidence - right).ravel())
    np.add.at(columns, (rows, place + bins), 1.0)
    return columns


def ece_of_sums(sums: np.ndarray) -> np.ndarray:
    """Expected calibration error of summed `bin_columns`."""
    gap, count = np.split(sums, 2, axis=1)
    return np.asarray(np.abs(gap).sum(1) / np.maximum(count.sum(1), 1))


def _bin(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.clip((np.ravel(confidence) * bins).astype(np.int64), 0, bins - 1)
