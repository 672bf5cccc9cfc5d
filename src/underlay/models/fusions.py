"""What makes one vector of several branches: side by side, weighed against each other, or reading each other.

A fusion gets `embedded [B, M, D]` and a mask `[B, M]`: the number of the branch each position comes from, 1 and up, and
0 where a row has nothing there. What is 0 never counts.
"""

import torch
from torch import Tensor, nn

from underlay.core import Registry
from underlay.models.linear import Linear
from underlay.models.trunks.transformer import TransformerTrunk

FUSIONS: Registry[type[nn.Module]] = Registry("fusion")
"""`(embedded [B, M, D], mask [B, M])` -> `[B, features]`; built with `width` and `branches`.

`whole` says whether a fusion reads every position of its branches, or one pooled vector of each; `features` is the
width of what it gives.
"""


@FUSIONS("late.v1")
class LateFusion(nn.Module):
    """The vectors of the branches side by side; zeros where one is absent.

    Args:
        width: D.
        branches: M.
        dropout: Unused; every fusion takes it.

    >>> LateFusion(width=3, branches=2)(torch.ones(4, 2, 3), torch.tensor([[1, 2]] * 4)).shape
    torch.Size([4, 6])
    """

    whole = False

    def __init__(self, *, width: int, branches: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.features = width * branches

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """`[B, M, D]` -> `[B, M * D]`."""
        return (embedded * (mask > 0).unsqueeze(-1)).flatten(1)


@FUSIONS("gated.v1")
class GatedFusion(nn.Module):
    """A sum of the branches' vectors, weighed for each row by gates that look at all of them.

    Args:
        width: D.
        branches: M.
        dropout: Unused; every fusion takes it.

    Source: Arevalo et al., Gated Multimodal Units for Information Fusion, 2017, eq. 1, with a softmax over any number
    of branches in place of one sigmoid for two.

    >>> GatedFusion(width=3, branches=2)(torch.ones(4, 2, 3), torch.tensor([[1, 2]] * 4)).shape
    torch.Size([4, 3])
    """

    whole = False

    def __init__(self, *, width: int, branches: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.features = width
        self.gate = Linear(width * branches, branches)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """`[B, M, D]` -> `[B, D]`."""
        present = mask > 0
        seen = torch.tanh(embedded) * present.unsqueeze(-1)
        scores = self.gate(seen.flatten(1)).masked_fill(~present, -torch.inf)
        fused: Tensor = (scores.softmax(dim=1).unsqueeze(-1) * seen).sum(dim=1)
        return fused


@FUSIONS("cross.v1")
class CrossFusion(nn.Module):
    """Every position of every branch reads every other, then their mean.

    Args:
        width: D.
        branches: M.
        depth: Layers.
        heads: Attention heads; divides `width`.
        dropout: In the layers.

    Source: Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, ACL 2019, with one
    attention over all positions in place of one for each ordered pair.

    >>> CrossFusion(width=8, branches=2)(torch.ones(4, 5, 8), torch.tensor([[1, 1, 1, 2, 0]] * 4)).shape
    torch.Size([4, 8])
    """

    whole = True

    def __init__(self, *, width: int, branches: int, depth: int = 1, heads: int = 4, dropout: float = 0.1) -> None:
        super().__init__()
        self.features = width
        self.kinds = nn.Embedding(branches + 1, width)
        self.trunk = TransformerTrunk(
            width=width, depth=depth, heads=heads, inner=2 * width, norm="pre", final_norm=True, norm_eps=1e-5,
            dropout=dropout,
        )  # fmt: skip

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """`[B, L, D]` -> `[B, D]`."""
        present = mask > 0
        hidden = self.trunk(embedded + self.kinds(mask), present.long())
        fused: Tensor = hidden.sum(dim=1) / present.sum(dim=1, keepdim=True)
        return fused
