"""Does an exported model answer as the one it comes from? Asked on padded rows of unequal length, and row by row.

A graph that lost its mask agrees on rows of one length and on rows alone: a comparison on those alone proves nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from underlay.bundle import Backend, Bundle
from underlay.compress.examples import Row, collated, mixed
from underlay.core import GateNotMet, Inputs, Target

TOLERANCE = 1e-5
"""Largest difference of a score in fp32: what golden rows are held to on one machine."""

BATCH = 8
"""Rows of a batch: with the shortest beside the longest, more than half of it is padding."""


@dataclass(frozen=True)
class Parity:
    """How far two models are apart.

    Args:
        rows: Compared.
        padding: Share of the positions in the compared batches that are padding.
        difference: Largest of a score: a row in a padded batch, against the same row alone in the original.
        alone: Largest of a score between a row alone and in a batch, both in the exported model.
        segments: Largest of a score where each row is cut in two segments; of models without positions that of the row.
        decisions: That changed, of those that the difference allowed cannot turn.
        tolerance: Largest difference allowed.
    """

    rows: int
    padding: float
    difference: float
    alone: float
    segments: float
    decisions: int
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether nothing is further apart than allowed and no decision changed; NaN is."""
        furthest = (self.difference, self.alone, self.segments)
        return all(found <= self.tolerance for found in furthest) and self.decisions == 0

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {**asdict(self), "passed": self.passed}


def compare(bundle: Bundle, candidate: Backend, rows: Sequence[Row], *, tolerance: float = TOLERANCE) -> Parity:
    """Put both models before the same rows.

    Args:
        bundle: The original.
        candidate: What is to answer as its backend does.
        rows: Encoded, of unequal length.
        tolerance: Of a score: a probability; of regression the logit, relative where it is above 1.
    """
    alone = [bundle.backend.run(collated(bundle, [row])) for row in rows]
    far, apart, cut, changed, padding = [0.0], [0.0], [0.0], 0, []
    for batch in mixed(bundle, rows, size=BATCH):
        inputs = collated(bundle, [rows[row] for row in batch])
        padding.append(_padding(inputs))
        together = candidate.run(inputs)
        for place, row in enumerate(batch):
            own = candidate.run(collated(bundle, [rows[row]]))
            for target in bundle.schema.targets:
                was, single = alone[row][target.name][0], own[target.name][0]
                now = together[target.name][place]
                now = now[: len(was)] if target.dense else now  # the row alone has no padding behind it
                far.append(_distance(bundle, target, was, now))
                apart.append(_distance(bundle, target, single, now))
                changed += _changed(bundle, target, was, now, tolerance)
        halves = _in_halves(inputs)
        first, second = bundle.backend.run(halves), candidate.run(halves)
        cut += [_distance(bundle, t, first[t.name], second[t.name]) for t in bundle.schema.targets]
    share = float(np.mean(padding)) if padding else 0.0
    return Parity(len(rows), share, max(far), max(apart), max(cut), changed, tolerance)


def require(parity: Parity) -> None:
    """Pass what is close enough.

    Raises:
        GateNotMet: `parity`: it is not.
    """
    if not parity.passed:
        raise GateNotMet(
            f"the exported model answers otherwise: scores differ by up to {parity.difference:.1e} "
            f"(alone or in a batch by {parity.alone:.1e}, with segments by {parity.segments:.1e}; allowed "
            f"{parity.tolerance:.0e}), {parity.decisions} decisions on {parity.rows} rows changed",
            "nothing was written; report the model's recipe",
            code="parity",
        )


def _distance(bundle: Bundle, target: Target, one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of a score; infinite where a score is missing."""
    first, second = (_scores(bundle, target, logits) for logits in (one, other))
    if first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("inf")
    return float((np.abs(first - second) / np.maximum(1.0, np.abs(first))).max(initial=0.0))


def _changed(bundle: Bundle, target: Target, one: np.ndarray, other: np.ndarray, tolerance: float) -> int:
    """Decisions that changed; one on the edge may fall to either side within the tolerance."""
    if target.task == "regression" or one.shape != other.shape:
        return 0
    rule = bundle.rules[target.name]
    first, second = (rule.probabilities(np.atleast_2d(logits)) for logits in (one, other))
    sure = rule.margin(first) > 2 * tolerance
    pairs = zip(rule.decide(first), rule.decide(second), sure, strict=True)
    return sum(was != now and bool(certain) for was, now, certain in pairs)


def _scores(bundle: Bundle, target: Target, logits: np.ndarray) -> np.ndarray:
    flat = np.atleast_2d(logits).reshape(-1, logits.shape[-1])
    return (
        np.asarray(flat, np.float64) if target.task == "regression" else bundle.rules[target.name].probabilities(flat)
    )


def _masks(inputs: Inputs) -> Iterator[tuple[str, np.ndarray]]:
    return ((column, arrays["mask"]) for column, arrays in inputs.items() if "mask" in arrays)


def _padding(inputs: Inputs) -> float:
    shares = [float((mask == 0).mean()) for _, mask in _masks(inputs)]
    return float(np.mean(shares)) if shares else 0.0


def _in_halves(inputs: Inputs) -> Mapping[str, Mapping[str, np.ndarray]]:
    """The same batch with the second half of each row's positions in a segment of its own."""
    halved = {column: dict(arrays) for column, arrays in inputs.items()}
    for column, mask in _masks(inputs):
        rank = (mask > 0).cumsum(1)
        late = (rank > -(-rank[:, -1:] // 2)) & (mask > 0)
        halved[column]["mask"] = np.where(late, mask + mask.max(), mask).astype(mask.dtype)
    return halved
