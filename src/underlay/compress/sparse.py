"""Single weights set to zero: the dense tensors stay as large and as slow; only an archive that is packed gets smaller.

While a model is trained each matrix passes through a mask that lets fewer and fewer of its weights through, so that the
others learn to do without them. Which stay is decided for each matrix by itself.

Source: Zhu and Gupta, To Prune or Not to Prune, 2017, section 3 (the share that goes rises by a cubic curve, weights
are ranked by their size); Sanh et al., Movement Pruning, NeurIPS 2020, section 4 (scores learned through the mask as if
it were not there: a weight that grows stays).
"""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from underlay.core import UsageError, nearest

KINDS = ("magnitude", "movement")
"""What a weight is ranked by: its size, or how far training moves it away from zero."""

LEAST = 4_096
"""Numbers from which a matrix is pruned, as for eight bits: smaller ones save nothing."""

SETTLED = 0.5
"""Share of the training after which the share of zeros stays: what is left has the other half to mend itself."""


class Mask(nn.Module):
    """Lets the largest, or the furthest moved, of a matrix through.

    In training the share that goes rises with each pass, in evaluation it is the final one.

    Args:
        weight: The matrix.
        ratio: Share that goes in the end, 0 to below 1.
        kind: One of `KINDS`.
        passes: After which it is reached; at least 1.
    """

    seen: Tensor

    def __init__(self, weight: Tensor, *, ratio: float, kind: str, passes: int) -> None:
        super().__init__()
        self.ratio, self.passes = ratio, max(1, passes)
        self.scores = nn.Parameter(torch.zeros_like(weight)) if kind == "movement" else None
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, weight: Tensor) -> Tensor:
        """The matrix with zeros."""
        ratio = self.ratio
        if self.training:
            self.seen += 1
            left = max(0.0, 1 - float(self.seen) / self.passes)
            ratio *= 1 - left**3
        ranked = weight.detach().abs() if self.scores is None else self.scores
        mask = _top(ranked.detach(), ratio).to(weight)
        if self.scores is not None:
            mask = mask + (self.scores - self.scores.detach())  # the slope of the mask reaches the scores
        return weight * mask


def _top(ranked: Tensor, ratio: float) -> Tensor:
    """Where the largest are: all but the share `ratio`, of equals some."""
    mask = torch.ones(ranked.numel(), dtype=torch.bool, device=ranked.device)
    mask[ranked.flatten().topk(int(ratio * ranked.numel()), largest=False, sorted=False).indices] = False
    return mask.reshape(ranked.shape)


def masked(model: nn.Module, *, ratio: float, kind: str, passes: int) -> list[str]:
    """Put a mask before every large matrix of the trunks; gives their names.

    Args:
        model: Changed in place.
        ratio: Share of each matrix that goes.
        kind: One of `KINDS`.
        passes: Of training, after which that share is reached.

    Raises:
        UsageError: The kind or the share is none, or there is no such matrix.
    """
    if kind not in KINDS:
        raise UsageError(f"weights cannot be ranked by {kind!r}", nearest(kind, KINDS))
    if not 0 < ratio < 1:
        raise UsageError(f"--sparsity {ratio:g} is no share", "give the share of weights that goes, as 0.5")
    chosen = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and "trunk" in name.split(".") and module.weight.numel() >= LEAST
    }
    if not chosen:
        raise UsageError("no trunk of this model has a large matrix", "leave out --sparsity", code="not_prunable")
    for module in chosen.values():
        mask = Mask(module.weight.detach(), ratio=ratio, kind=kind, passes=passes)
        parametrize.register_parametrization(module, "weight", mask)
    return list(chosen)


def settle(model: nn.Module) -> tuple[int, int]:
    """Take the masks away and leave their zeros; gives how many weights are zero, and of how many.

    Args:
        model: What `masked` changed; changed in place.
    """
    model.eval()
    zeros = total = 0
    for module in list(model.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
            weight: Any = module.weight
            zeros, total = zeros + int((weight == 0).sum()), total + weight.numel()
    return zeros, total


def packed(weights: Mapping[str, Tensor]) -> int:
    """Bytes of these tensors in an archive (DEFLATE at its usual level, as in a zip file)."""
    return sum(len(zlib.compress(one.detach().contiguous().numpy().tobytes(), 6)) for one in weights.values())
