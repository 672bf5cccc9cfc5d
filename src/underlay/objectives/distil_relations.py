"""Stand to one another as the teacher's rows do: the shape of a batch is the target, whatever the widths."""

import torch
from torch import Tensor
from torch.nn import functional as F

from underlay.core import UsageError, nearest
from underlay.objectives.means import row_weights, weighted_mean
from underlay.objectives.teacher import FEATURES, heard
from underlay.objectives.term import LossTerm, Step, stateless

KINDS = ("distance", "angle")

LEAST = 1e-12
"""Of a squared distance: two rows that are the same would have an infinite gradient of their distance."""


def distil_relations(kind: str = "distance") -> LossTerm:
    """Huber loss between what the rows of a batch are to one another for the student and for the teacher.

    Read from the pooled vectors; the teacher's are the extra column `teacher.features`, and rows where that is NaN take
    no part. A batch with too few rows to compare costs 0. What a pair or a triple weighs is the product of its rows'
    weights.

    Args:
        kind: `distance`: between every two rows, over the mean distance of the batch; `angle`: the cosine at the middle
            one of every three rows.

    Source: Park et al., Relational Knowledge Distillation, CVPR 2019, eq. 4-6 and 8-9 (sums there, means here).

    >>> distil_relations().coupled
    True
    """
    if kind not in KINDS:
        raise UsageError(f"kind is {kind!r}", nearest(str(kind), KINDS))

    def loss(step: Step) -> Tensor:
        told: Tensor = step.batch.column(FEATURES, "distil_relations").float()  # [B, D]
        known = heard(told)
        said, told = step.output.features.float()[known], told[known]  # [N, D]
        weights = row_weights(step.batch, step.output.features.float())[known]
        if kind == "distance":
            among = _pairs(weights)  # [N, N]
            losses = F.huber_loss(_distances(said, among), _distances(told, among), reduction="none")
        else:
            among = _triples(weights)  # [N, N, N]
            losses = F.huber_loss(_angles(said), _angles(told), reduction="none")
        return weighted_mean(losses * among, among)

    return stateless(loss, coupled=True)


def _distances(vectors: Tensor, among: Tensor) -> Tensor:
    """Between every two rows, over their mean: `[N, D]` -> `[N, N]`."""
    apart = (vectors.unsqueeze(0) - vectors.unsqueeze(1)).square().sum(-1).clamp_min(LEAST).sqrt()
    mean = weighted_mean(apart * among, among)
    return apart / mean.clamp_min(LEAST**0.5)


def _angles(vectors: Tensor) -> Tensor:
    """The cosine at row j between rows i and k: `[N, D]` -> `[N, N, N]`, j first."""
    edges = vectors.unsqueeze(0) - vectors.unsqueeze(1)  # [j, i, D]
    edges = edges / edges.square().sum(-1, keepdim=True).clamp_min(LEAST).sqrt()
    return edges @ edges.transpose(1, 2)


def _pairs(weights: Tensor) -> Tensor:
    """What two rows weigh together, `[N, N]`; 0 where they are one."""
    return weights.unsqueeze(0) * weights.unsqueeze(1) * _distinct(weights)


def _triples(weights: Tensor) -> Tensor:
    """What three rows weigh together, `[N, N, N]`; 0 where two of them are one."""
    other = _distinct(weights)
    return _pairs(weights).unsqueeze(2) * weights * other.unsqueeze(0) * other.unsqueeze(1)


def _distinct(weights: Tensor) -> Tensor:
    return 1 - torch.eye(len(weights), device=weights.device, dtype=weights.dtype)
