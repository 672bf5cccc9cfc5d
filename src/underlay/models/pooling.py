"""One vector for a row out of one for each of its positions. Padding never counts."""

import torch
from torch import Tensor, nn

from underlay.models.linear import Linear
from underlay.models.registries import POOLINGS


@POOLINGS("mean.v1")
class MeanPooling(nn.Module):
    """The mean over real positions."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        return hidden.mean(dim=1) if mask is None else _average(hidden, mask > 0)


@POOLINGS("first.v1")
class FirstPooling(nn.Module):
    """The first position of each segment ([CLS] of each window), averaged over segments."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        if mask is None:
            return hidden[:, 0]
        before = torch.cat((torch.zeros_like(mask[:, :1]), mask[:, :-1]), dim=1)
        return _average(hidden, (mask > 0) & (mask != before))


@POOLINGS("last.v1")
class LastPooling(nn.Module):
    """The last position of each segment (the only one that read all in a causal trunk), averaged over segments."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        if mask is None:
            return hidden[:, -1]
        after = torch.cat((mask[:, 1:], torch.zeros_like(mask[:, :1])), dim=1)
        return _average(hidden, (mask > 0) & (mask != after))


@POOLINGS("max.v1")
class MaxPooling(nn.Module):
    """The largest value of each feature over real positions."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        if mask is None:
            return hidden.amax(dim=1)
        return hidden.masked_fill((mask == 0).unsqueeze(-1), -torch.inf).amax(dim=1)


@POOLINGS("attention.v1")
class AttentionPooling(nn.Module):
    """A mean weighted by a learned score of each position.

    Source: Yang et al., Hierarchical Attention Networks, NAACL 2016, eq. 5-7.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width
        self.look = Linear(width, width)
        self.score = Linear(width, 1, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        scores = self.score(torch.tanh(self.look(hidden)))  # [B, L, 1]
        if mask is not None:
            scores = scores.masked_fill((mask == 0).unsqueeze(-1), -torch.inf)
        pooled: Tensor = (scores.softmax(dim=1) * hidden).sum(dim=1)
        return pooled


def _average(hidden: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the chosen positions of each row, as one product `[B, 1, L] x [B, L, D]`."""
    weights = chosen.to(hidden.dtype)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1)
