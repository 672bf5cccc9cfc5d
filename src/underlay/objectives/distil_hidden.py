"""Have the vectors the teacher has: its hidden states are the target."""

from typing import Any

import torch
from torch import Tensor

from underlay.core import DataError, UsageError, nearest
from underlay.objectives.means import row_weights, weighted_mean
from underlay.objectives.teacher import FEATURES, HIDDEN, heard, layer_column, projected
from underlay.objectives.term import LossTerm, Step, stateless

PLACES = ("pooled", "positions", "layers")


def distil_hidden(at: str = "pooled") -> LossTerm:
    """Mean squared error between the student's vectors and the teacher's, mean over rows and width.

    Where the widths differ the student's go through the linear layer `to_teacher` that the model learns besides and
    no bundle holds. Reads the extra column `teacher.features`, or `teacher.hidden` of the top layer's positions, for
    which both have to read the same positions; rows where the column is NaN cost nothing. At `layers` the vectors
    behind every layer of the student are compared, each with those behind the layer of the teacher that stands as high,
    all layers weighing the same and through one linear layer; that takes one more pass through the trunk.

    Args:
        at: `pooled`: one vector a row; `positions`: one a position, each row weighing the same; `layers`: one a
            position and layer.

    Source: Romero et al., FitNets, ICLR 2015, eq. 3 (a learned regressor); Jiao et al., TinyBERT, 2020, eq. 8 and the
    uniform mapping of section 4.2; without their terms on attention and embeddings.

    >>> distil_hidden("layer")
    Traceback (most recent call last):
    underlay.core.errors.UsageError: at is 'layer' — did you mean 'layers'?
    """
    if at not in PLACES:
        raise UsageError(f"at is {at!r}", nearest(str(at), PLACES))
    return stateless({"pooled": _pooled, "positions": _by_position, "layers": _by_layer}[at])


def _pooled(step: Step) -> Tensor:
    told: Tensor = step.batch.column(FEATURES, "distil_hidden").float()  # [B, D]
    said = projected(step, step.output.features.float(), told.shape[-1], asker="distil_hidden")
    known = heard(told)
    losses = (said - told.where(known.unsqueeze(-1), said.detach())).square().mean(-1)  # [B]
    counts = known * row_weights(step.batch, losses)
    return weighted_mean(losses * counts, counts)


def _by_position(step: Step) -> Tensor:
    return _apart(step, step.output.hidden, HIDDEN)


def _by_layer(step: Step) -> Tensor:
    trunk: Any = getattr(step.model, "trunk", None)
    if trunk is None:
        raise UsageError("distil_hidden: layers that are cached or fused have no vectors", "set train.cache=false")
    losses, entered = [_by_position(step)], step.embedded
    for layer in range(len(trunk.layers) - 1):
        entered = trunk(entered, step.output.mask, start=layer, stop=layer + 1)
        losses.append(_apart(step, entered, layer_column(layer + 1)))
    return torch.stack(losses).mean()


def _apart(step: Step, seen: Tensor, column: str) -> Tensor:
    """How far the student's vectors `[B, L, S]` are from those of a column, mean over positions, then rows."""
    told: Tensor = step.batch.column(column, "distil_hidden").float()  # [B, P, D]
    hidden = seen.float()
    mask = step.output.mask
    real = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device) if mask is None else mask > 0
    given = told.isfinite().all(-1)  # [B, P]
    lengths, known = real.sum(1), given.any(1)  # [B]
    if not torch.equal(given.sum(1)[known], lengths[known]):
        raise DataError(
            f"distil_hidden: the teacher has {given.sum(1)[known].tolist()} positions in these rows, the student "
            f"{lengths[known].tolist()}",
            "position by position they have to read alike: the teacher's own modality, and no augmentation",
        )
    said = projected(step, hidden[real & known.unsqueeze(1)], told.shape[-1], asker="distil_hidden")  # [N, D]
    errors = (said - told[given]).square().mean(-1)
    each = lengths.new_tensor(range(len(lengths)))[known].repeat_interleave(lengths[known])
    losses = errors.new_zeros(len(lengths)).index_add(0, each, errors) / lengths.clamp_min(1)  # [B]
    counts = known * row_weights(step.batch, losses)
    return weighted_mean(losses * counts, counts)
