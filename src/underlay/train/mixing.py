"""Two rows of a batch become one: mixup and CutMix, on the continuous input that every signal has.

A mixed row has two targets, each to its share. So nothing is asked of a loss but that it be computed twice:
`share * loss(own targets) + (1 - share) * loss(partner's targets)`, whatever the task.

All is drawn from PyTorch's generator, which the loop seeds for every step: a resumed run mixes the same rows.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Beta

from underlay.core import Batch
from underlay.objectives import Value


class Mixed(NamedTuple):
    """A batch whose rows are mixtures.

    Args:
        embedded: `[B, L, D]`.
        mask: `[B, L]`, a position that is real in either row; None where all are.
        partners: The other row of each mixture, `[B]`.
        share: Of a row's own targets in its loss, 0 to 1; the rest is its partner's.
    """

    embedded: Tensor
    mask: Tensor | None
    partners: Tensor
    share: float


Mixing = Callable[[Tensor, Tensor | None], Mixed]
"""(`embedded [B, L, D]`, `mask [B, L]` or None) -> mixtures of its rows."""


def mixup(alpha: float) -> Mixing:
    """Weighted means of two rows, position by position; where one has ended it counts as 0.

    Args:
        alpha: Of the Beta distribution that the share of a batch is drawn from; > 0. Small: mostly one of the two.

    Source: Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018; on texts of several lengths as Guo et
    al., Augmenting Data with Mixup for Sentence Classification, 2019.

    >>> _ = torch.manual_seed(0)
    >>> mixed = mixup(1.0)(torch.eye(2).unsqueeze(1), None)
    >>> torch.allclose(mixed.embedded.sum(-1), torch.ones(2, 1)), 0 < mixed.share < 1
    (True, True)
    """

    def mix(embedded: Tensor, mask: Tensor | None) -> Mixed:
        share, partners = _share(alpha), _partners(embedded)
        if mask is None:
            return Mixed(share * embedded + (1 - share) * embedded[partners], None, partners, share)
        real = embedded * (mask > 0).unsqueeze(-1)
        both = torch.where(mask > 0, mask, mask[partners])
        return Mixed(share * real + (1 - share) * real[partners], both, partners, share)

    return mix


def cutmix(alpha: float, *, size: tuple[int, int]) -> Mixing:
    """A rectangle of each picture replaced by what stands there in another; targets by the areas.

    Args:
        alpha: Of the Beta distribution that the area is drawn from; > 0.
        size: H and W of what a spatial trunk reads, `[B, H * W, C]`.

    Source: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers, ICCV 2019, section 3.2.

    >>> _ = torch.manual_seed(0)
    >>> mixed = cutmix(1.0, size=(8, 8))(torch.tensor([0.0, 1.0]).view(2, 1, 1).expand(2, 64, 3), None)
    >>> mixed.partners.tolist(), round(1 - mixed.share, 4) == round(float(mixed.embedded[0].mean()), 4)
    ([1, 0], True)
    """
    height, width = size

    def mix(embedded: Tensor, mask: Tensor | None) -> Mixed:
        if embedded.shape[1] != height * width:
            raise ValueError(f"rows of {embedded.shape[1]} places are no pictures of {height} x {width}")
        side, partners = math.sqrt(1 - _share(alpha)), _partners(embedded)
        top, bottom = _span(height, side)
        left, right = _span(width, side)
        pictures = embedded.reshape(len(embedded), height, width, -1)
        mixed = pictures.clone()
        mixed[:, top:bottom, left:right] = pictures[partners, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return Mixed(mixed.flatten(1, 2), mask, partners, share)

    return mix


def one_of(mixings: Sequence[Mixing]) -> Mixing:
    """One of these for each batch, each as often as any other."""

    def mix(embedded: Tensor, mask: Tensor | None) -> Mixed:
        return mixings[int(torch.randint(len(mixings), ()))](embedded, mask)

    return mix


def partners_of(batch: Batch, partners: Tensor) -> Batch:
    """The batch with the targets and extra columns of each row's partner; inputs as they are."""
    targets = {name: values[partners] for name, values in batch.targets.items()}
    return Batch(batch.inputs, targets, {name: values[partners] for name, values in batch.extra.items()})


def blended(own: Value, other: Value, *, share: float) -> Value:
    """The objective of a mixture: both values to their shares; what terms remember is what the first gave."""
    parts = {name: share * part + (1 - share) * other.parts[name] for name, part in own.parts.items()}
    return Value(share * own.total + (1 - share) * other.total, parts, own.state)


def _share(alpha: float) -> float:
    return float(Beta(alpha, alpha).sample())


def _partners(embedded: Tensor) -> Tensor:
    return torch.randperm(len(embedded)).to(embedded.device)


def _span(length: int, side: float) -> tuple[int, int]:
    """A stretch of `side * length` about a middle drawn evenly, cut at the ends."""
    middle, half = int(torch.randint(length, ())), int(side * length) // 2
    return max(0, middle - half), min(length, middle + half)
