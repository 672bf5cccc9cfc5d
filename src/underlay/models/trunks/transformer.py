"""The transformer trunk: pre- or post-norm, encoder or causal, linears that see no padding.

Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017; rotary positions: Su et al., RoFormer, 2021;
gated activation: Shazeer, GLU Variants Improve Transformer, 2020.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.attention import attend
from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.packing import Packing

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda inner: F.gelu(inner, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}

SIZE_STEP = 32
"""Packed positions are filled up to a multiple of it: the matrix library builds a kernel for each new size and keeps
a thousand, so that ever new sizes cost a fifth of a step."""


@TRUNKS("transformer.v1")
class TransformerTrunk(nn.Module):
    """Layers of attention and feed-forward on packed positions.

    Padding is taken out once, before the first layer, and put back after the last. Positions attend within
    their own segment of their own row. What a row gives does not depend on its batch mates.

    Args:
        width: D.
        depth: Layers.
        heads: Attention heads, of all layers or of each; divides `width` unless `head_width` is given.
        inner: Width inside the feed-forward part, of all layers or of each.
        head_width: Of one head; None: `width` / `heads`. With it a layer may have fewer heads than fill `width`.
        norm: `post` (BERT) or `pre` (GPT-2, most later ones).
        activation: `gelu`, `gelu_tanh`, `relu` or `silu`.
        gated: Multiply the activated half with a linear half (GEGLU with `gelu`).
        causal: Attend to the past only.
        rotary: Turn queries and keys by their position; without it the stem gives positions.
        rotary_base: Slowest wavelength / 2 pi.
        final_norm: Normalise after the last layer (pre-norm trunks).
        norm_eps: Added to the variance.
        dropout: After attention and after feed-forward.
        attention_dropout: On attention weights; above 0 the fast attention kernels cannot be used.

    >>> trunk = TransformerTrunk(width=8, depth=2, heads=2, inner=16)
    >>> trunk(torch.randn(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    spatial = False
    positions = 0

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int | list[int],
        inner: int | list[int],
        head_width: int | None = None,
        norm: str = "post",
        activation: str = "gelu",
        gated: bool = False,
        causal: bool = False,
        rotary: bool = False,
        rotary_base: float = 10_000.0,
        final_norm: bool = False,
        norm_eps: float = 1e-12,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        heads_of, inner_of = _each("heads", heads, depth), _each("inner", inner, depth)
        if norm not in ("pre", "post") or activation not in ACTIVATIONS:
            raise ValueError(
                f"norm {norm!r} must be 'pre' or 'post', activation {activation!r} one of {sorted(ACTIVATIONS)}"
            )
        self.width = self.channels = width
        self.size = _head_width(width, heads, head_width)
        self.ordered = rotary
        self.rotary_base = rotary_base
        self.layers = nn.ModuleList(
            Layer(
                attention=Attention(width, heads=count, size=self.size, causal=causal, dropout=attention_dropout),
                feed_forward=FeedForward(width, inner=units, activation=activation, gated=gated),
                pre=norm == "pre",
                norm_eps=norm_eps,
                dropout=dropout,
            )
            for count, units in zip(heads_of, inner_of, strict=True)
        )
        self.final_norm = nn.LayerNorm(width, eps=norm_eps) if final_norm else None

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop` (None: to the end, final norm included).

        Args:
            embedded: `[B, L, D]`, the output of layer `start - 1`.
            mask: Segment numbers `[B, L]`, 0 at padding; None: one segment, no padding.
            start: First layer to run.
            stop: One past the last.
        """
        packing = Packing.over(embedded, mask)
        turn = self._turn(packing, embedded) if self.ordered else None
        count = packing.count
        hidden = F.pad(packing.pack(embedded), (0, 0, 0, -count % SIZE_STEP))  # [N, D], then rows of zeros
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, packing, turn)
        if self.final_norm is not None and stop is None:
            hidden = self.final_norm(hidden)
        return packing.unpack(hidden[:count])

    def _turn(self, packing: Packing, embedded: Tensor) -> Tensor:
        """Cosine and sine of each position's angles, `[2, N, 1, head / 2]`."""
        rates = self.rotary_base ** -(torch.arange(0, self.size, 2, device=embedded.device) / self.size)
        angles = packing.positions(embedded.device)[:, None, None] * rates
        return torch.stack((angles.cos(), angles.sin())).to(embedded.dtype)


class Layer(nn.Module):
    """Attention, then feed-forward, each with its residual and its norm."""

    def __init__(
        self, *, attention: "Attention", feed_forward: "FeedForward", pre: bool, norm_eps: float, dropout: float
    ) -> None:
        super().__init__()
        width = attention.out.out_features
        self.pre = pre
        self.attention = attention
        self.attention_norm = nn.LayerNorm(width, eps=norm_eps)
        self.feed_forward = feed_forward
        self.feed_forward_norm = nn.LayerNorm(width, eps=norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, packing: Packing, turn: Tensor | None) -> Tensor:
        """`[N, D]` -> `[N, D]`."""
        if self.pre:
            hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), packing, turn))
            fed: Tensor = hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
            return fed
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, packing, turn)))
        normed: Tensor = self.feed_forward_norm(hidden + self.dropout(self.feed_forward(hidden)))
        return normed


class Attention(nn.Module):
    """Every position looks at the positions of its sequence."""

    def __init__(self, width: int, *, heads: int, causal: bool, dropout: float, size: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.size = width // heads if size is None else size
        self.causal = causal
        self.dropout = dropout
        self.qkv = Linear(width, 3 * heads * self.size)  # one product instead of three
        self.out = Linear(heads * self.size, width)

    def forward(self, hidden: Tensor, packing: Packing, turn: Tensor | None) -> Tensor:
        """`[N, D]` -> `[N, D]`."""
        qkv = self.qkv(hidden).view(-1, 3, self.heads, self.size)[: packing.count]  # [N, 3, H, D/H]
        if turn is not None:
            qkv = torch.cat((rotate(qkv[:, :2], turn), qkv[:, 2:]), dim=1)
        blocks = qkv.split([length * number for length, number in packing.groups])
        seen = [
            self._attend(block.unflatten(0, (-1, length)))
            for block, (length, _) in zip(blocks, packing.groups, strict=True)
        ]
        spare = seen[0].new_zeros(hidden.shape[0] - packing.count, self.heads * self.size)
        attended: Tensor = self.out(torch.cat([*seen, spare]))
        return attended

    def _attend(self, block: Tensor) -> Tensor:
        """Dense attention inside equally long sequences, `[n, length, 3, H, D/H]` -> `[n * length, D]`."""
        query, key, value = block.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        seen = attend(query, key, value, causal=self.causal, dropout=dropout)
        return seen.transpose(1, 2).flatten(2).flatten(0, 1)


class FeedForward(nn.Module):
    """Two linears with an activation, or a gate, between."""

    def __init__(self, width: int, *, inner: int, activation: str, gated: bool) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gated = gated
        self.up = Linear(width, 2 * inner if gated else inner)
        self.down = Linear(inner, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """`[N, D]` -> `[N, D]`."""
        inner = self.up(hidden)
        if self.gated:
            gate, linear = inner.chunk(2, dim=-1)
            down: Tensor = self.down(self.activation(gate) * linear)
            return down
        plain: Tensor = self.down(self.activation(inner))
        return plain


def _each(name: str, count: int | list[int], depth: int) -> list[int]:
    """The number of each layer, from one for all or a list."""
    counts = [count] * depth if isinstance(count, int) else count
    if len(counts) != depth or any(one < 1 for one in counts):
        raise ValueError(f"{name} is {count!r}; it must be a number from 1 on, or one for each of {depth} layers")
    return counts


def _head_width(width: int, heads: int | list[int], given: int | None) -> int:
    """The width of a head, given or from how many fill the trunk's."""
    if given is not None and given >= 1:
        return given
    if given is not None or not isinstance(heads, int) or width % heads:
        raise ValueError(f"width {width} / heads {heads} must be whole, or head_width (found {given}) from 1 on")
    return width // heads


def rotate(vectors: Tensor, turn: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of `[N, ..., H, size]` by the angles of its position."""
    cosine, sine = (part.unsqueeze(1) for part in turn)  # [N, 1, 1, size / 2]
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
