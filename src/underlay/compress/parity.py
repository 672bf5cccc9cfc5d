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


@dataclass(frozen=True)
class Bounds:
    """How far an exported model may be from the original.

    Args:
        score: Largest difference of a score: a probability; of regression the logit, relative where it is above 1.
        alone: Largest difference between a row alone and in a batch.
        changed: Share of decisions that may change.
    """

    score: float
    alone: float
    changed: float


EXACT = Bounds(score=1e-5, alone=1e-5, changed=0.0)
"""In fp32: what golden rows are held to on one machine."""

EIGHT_BITS = Bounds(score=0.3, alone=0.01, changed=0.02)
"""A guard against accidents: the graph it was made from is held to `EXACT`, and each operator of eight bits to its own
in fp32. What a row is told alone is held as tight as a level allows, 1/127 of a position's largest value."""

EIGHT_BITS_SYNTHETIC = Bounds(score=0.3, alone=0.01, changed=0.1)
"""Synthetic rows say little, so that more of them lie where a small difference decides."""

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
        decided: Decisions compared.
        decisions: Those that changed, but for those on the edge, which the difference allowed in fp32 may turn.
        bounds: What is allowed.
    """

    rows: int
    padding: float
    difference: float
    alone: float
    segments: float
    decided: int
    decisions: int
    bounds: Bounds

    @property
    def passed(self) -> bool:
        """Whether nothing is further apart than allowed."""
        near = self.difference <= self.bounds.score and self.segments <= self.bounds.score
        # Few rows have more than their share by chance: two standard deviations.
        expected = self.bounds.changed * self.decided
        return near and self.alone <= self.bounds.alone and self.decisions <= expected + 2 * expected**0.5

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {**asdict(self), "passed": self.passed}


def compare(bundle: Bundle, candidate: Backend, rows: Sequence[Row], *, bounds: Bounds = EXACT) -> Parity:
    """Put both models before the same rows.

    Args:
        bundle: The original.
        candidate: What is to answer as its backend does.
        rows: Encoded, of unequal length.
        bounds: How far apart they may be.
    """
    alone = [bundle.backend.run(collated(bundle, [row])) for row in rows]
    far, apart, cut, turned, padding = [0.0], [0.0], [0.0], list[bool](), []
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
                turned += _turned(bundle, target, was, now)
        halves = _in_halves(inputs)
        first, second = bundle.backend.run(halves), candidate.run(halves)
        cut += [_distance(bundle, t, first[t.name], second[t.name]) for t in bundle.schema.targets]
    share = float(np.mean(padding)) if padding else 0.0
    return Parity(len(rows), share, max(far), max(apart), max(cut), len(turned), sum(turned), bounds)


def require(parity: Parity) -> None:
    """Pass what is close enough.

    Raises:
        GateNotMet: `parity`: it is not.
    """
    if not parity.passed:
        raise GateNotMet(
            f"the exported model answers otherwise: scores differ by up to {parity.difference:.1e} "
            f"(alone or in a batch by {parity.alone:.1e}, with segments by {parity.segments:.1e}; allowed "
            f"{parity.bounds.score:g}), {parity.decisions} of {parity.decided} decisions changed",
            "nothing was written; report the model's recipe",
            code="parity",
        )


def _distance(bundle: Bundle, target: Target, one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of a score; infinite where a score is missing."""
    first, second = (_scores(bundle, target, logits) for logits in (one, other))
    if first.shape != second.shape or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("inf")
    return float((np.abs(first - second) / np.maximum(1.0, np.abs(first))).max(initial=0.0))


def _turned(bundle: Bundle, target: Target, one: np.ndarray, other: np.ndarray) -> list[bool]:
    """Which decisions changed; one on the edge may fall to either side."""
    if target.task == "regression" or one.shape != other.shape:
        return []
    rule = bundle.rules[target.name]
    first, second = (rule.probabilities(np.atleast_2d(logits)) for logits in (one, other))
    sure = rule.margin(first) > 2 * EXACT.score
    pairs = zip(rule.decide(first), rule.decide(second), sure, strict=True)
    return [was != now and bool(certain) for was, now, certain in pairs]


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
