"""Answering only where the model is sure: how risk falls as more rows are left to a person."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RiskCoverage:
    """The share of wrong answers among the most confident rows, by how many of them are answered.

    Args:
        coverage: Shares of rows answered, rising to 1.
        risk: Share of wrong answers among them.
        confidence: The least confidence among them: the threshold to set.
        area: Mean risk over all coverages (AURC); small when confidence tells right from wrong.
        best_area: The least area any confidence could give with this many mistakes.
    """

    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    confidence: tuple[float, ...]
    area: float
    best_area: float


def risk_coverage(confidence: np.ndarray, right: np.ndarray, *, points: int = 100) -> RiskCoverage:
    """The risk-coverage curve of these answers; rows of equal confidence are answered together.

    Args:
        confidence: `[N]`.
        right: `[N]` of bool.
        points: At most so many are kept.

    Source: Geifman & El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """
    rows = len(confidence)
    if not rows:
        return RiskCoverage((), (), (), 0.0, 0.0)
    order = np.argsort(-confidence, kind="stable")
    score = confidence[order]
    ends = np.flatnonzero(np.append(np.diff(score) != 0, True))
    answered = np.arange(1, rows + 1)
    risk = np.cumsum(~np.asarray(right, dtype=bool)[order]) / answered
    held = risk[ends[np.searchsorted(ends, np.arange(rows))]]
    best = np.maximum(answered - np.asarray(right, dtype=bool).sum(), 0) / answered
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).round().astype(int))]
    return RiskCoverage(
        coverage=tuple(((kept + 1) / rows).tolist()),
        risk=tuple(risk[kept].tolist()),
        confidence=tuple(score[kept].tolist()),
        area=float(held.mean()),
        best_area=float(best.mean()),
    )
