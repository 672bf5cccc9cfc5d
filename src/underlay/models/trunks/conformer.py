"""The conformer trunk: attention for what is far, a gated convolution for what is near.

Source: Gulati et al., Conformer: Convolution-augmented Transformer for Speech Recognition, Interspeech 2020, 2.2.
Two things differ. Layer normalisation stands behind the depthwise convolution where the paper has batch normalisation,
so that a row does not depend on its batch mates; positions turn queries and keys (Su et al., RoFormer, 2021) instead of
entering as relative encodings, so that PyTorch's fused attention serves.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.packing import Packing
from underlay.models.trunks.transformer import Attention, FeedForward


@TRUNKS("conformer.v1")
class ConformerTrunk(nn.Module):
    """Layers of half a feed-forward, attention, convolution, half a feed-forward, on packed positions.

    Positions see their own segment of their own row alone.

    Args:
        width: D.
        depth: Layers.
        heads: Attention heads; divides `width` into even parts.
        inner: Width inside the feed-forward parts.
        kernel: Odd window of the depthwise convolution.
        rotary_base: Slowest wavelength / 2 pi.
        norm_eps: Added to the variance.
        dropout: After each part.

    >>> ConformerTrunk(width=8, depth=2, heads=2, inner=16, kernel=3)(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    ordered = True
    spatial = False
    positions = 0
    laid = staticmethod(Packing.over)

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        kernel: int = 15,
        rotary_base: float = 10_000.0,
        norm_eps: float = 1e-5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        if width % (2 * heads) or kernel % 2 == 0 or kernel < 1:
            raise ValueError(f"width {width} / heads {heads} must be even, kernel {kernel} odd")
        self.width = self.channels = width
        self.heads = heads
        self.rotary_base = rotary_base
        self.layers = nn.ModuleList(
            ConformerLayer(width, heads=heads, inner=inner, kernel=kernel, norm_eps=norm_eps, dropout=dropout)
            for _ in range(depth)
        )

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop` (None: to the end), `[B, L, D]` in and out; 0 at padding."""
        packing = self.laid(embedded, mask)
        turn = self._turn(packing, embedded)
        hidden = packing.pack(embedded)  # [N, D]
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, packing, turn)
        return packing.unpack(hidden)

    def _turn(self, packing: Packing, embedded: Tensor) -> Tensor:
        """Cosine and sine of each position's angles, `[2, N, 1, head / 2]`."""
        size = self.width // self.heads
        rates = self.rotary_base ** -(torch.arange(0, size, 2, device=embedded.device) / size)
        angles = packing.positions(embedded.device)[:, None, None] * rates
        return torch.stack((angles.cos(), angles.sin())).to(embedded.dtype)


class ConformerLayer(nn.Module):
    """The four parts, each with its norm before and its residual, and a norm at the end."""

    def __init__(self, width: int, *, heads: int, inner: int, kernel: int, norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.first = FeedForward(width, inner=inner, activation="silu", gated=False)
        self.attention = Attention(width, heads=heads, causal=False, dropout=0.0)
        self.convolution = GatedConvolution(width, kernel=kernel, norm_eps=norm_eps)
        self.second = FeedForward(width, inner=inner, activation="silu", gated=False)
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=norm_eps) for _ in range(5))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, packing: Packing, turn: Tensor) -> Tensor:
        """`[N, D]` -> `[N, D]`."""
        before_first, before_attention, before_convolution, before_second, final = self.norms
        hidden = hidden + 0.5 * self.dropout(self.first(before_first(hidden)))
        hidden = hidden + self.dropout(self.attention(before_attention(hidden), packing, turn))
        hidden = hidden + self.dropout(self.convolution(before_convolution(hidden), packing))
        hidden = hidden + 0.5 * self.dropout(self.second(before_second(hidden)))
        normed: Tensor = final(hidden)
        return normed


class GatedConvolution(nn.Module):
    """A gate, a convolution of each channel by itself along the segment, a norm, an activation, a mix of channels."""

    def __init__(self, width: int, *, kernel: int, norm_eps: float) -> None:
        super().__init__()
        self.gate = Linear(width, 2 * width)
        self.along = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.out = Linear(width, width)

    def forward(self, hidden: Tensor, packing: Packing) -> Tensor:
        """`[N, D]` -> `[N, D]`; beyond the ends of a segment stand zeros."""
        gated = F.glu(self.gate(hidden), dim=-1)
        seen = self.along(packing.pad(gated).transpose(1, 2)).transpose(1, 2)  # [S, T, D]
        mixed: Tensor = self.out(F.silu(self.norm(packing.flatten(seen))))
        return mixed
