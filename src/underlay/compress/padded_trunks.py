"""Trunks on padded rows, one a segment: the layers of `models`, under a `Layout` where those have a `Packing`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.compress.layout import Layout
from underlay.compress.recurrence import read_both_ways
from underlay.models.trunks.conformer import ConformerTrunk
from underlay.models.trunks.convolution import ConvolutionTrunk
from underlay.models.trunks.foreign import AlbertTrunk, DebertaTrunk, ModernBertTrunk, SegmentTrunk
from underlay.models.trunks.inception import InceptionModule, InceptionTrunk
from underlay.models.trunks.recurrent import RecurrentLayer, RecurrentTrunk
from underlay.models.trunks.residual1d import Residual1dTrunk
from underlay.models.trunks.transformer import Attention, TransformerTrunk, rotate

ATTENTION = "underlay_padded"
"""Name of `attend` in the registry of `transformers`."""

UNSEEN = -1e9
"""Score of what may not be looked at: a place that sees nothing gets numbers that nobody reads, where -inf gave NaN."""


def laid_out(embedded: Tensor, mask: Tensor | None) -> Layout:
    """The layout of a batch `[B, L, D]`."""
    return Layout.of(mask, (embedded.shape[0], embedded.shape[1]))


class PaddedAttention(Attention):
    """Dense attention inside every row of the layout; what is no position is not looked at.

    Queries, keys and values are three products of parts of one matrix: cut out of what one product gives, each would be
    copied once more, which costs a twelfth of the time in eight bits.
    """

    def part(self) -> None:
        """Put three linears where one was, with copies of its weights: a file keeps no views."""
        weights, biases = self.qkv.weight.detach().chunk(3), self.qkv.bias.detach().chunk(3)
        self.parts = nn.ModuleList(_linear(weight, bias) for weight, bias in zip(weights, biases, strict=True))
        del self.qkv

    def forward(self, hidden: Tensor, packing: Layout, turn: Tensor | None) -> Tensor:  # type: ignore[override]
        """`[S * T, D]` -> `[S * T, D]`."""
        parts = [part(hidden).view(-1, self.heads, self.size) for part in self.parts]  # [S * T, H, D/H] each
        if turn is not None:
            parts[:2] = [rotate(one.unsqueeze(1), turn).squeeze(1) for one in parts[:2]]
        rows = [one.reshape(packing.segments, packing.longest, self.heads, self.size) for one in parts]
        query, key, value = (one.transpose(1, 2) for one in rows)  # [S, H, T, D/H] each
        scores = (query * self.size**-0.5) @ key.transpose(-1, -2)
        if packing.filled is not None:
            scores = scores.masked_fill(~packing.filled[:, None, None, :], UNSEEN)
        if self.causal:
            place = torch.arange(packing.longest, device=hidden.device)
            scores = scores.masked_fill(place > place.unsqueeze(1), UNSEEN)
        seen = scores.softmax(-1) @ value
        attended: Tensor = self.out(seen.transpose(1, 2).reshape(packing.count, self.heads * self.size))
        return attended


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return linear


class PaddedTransformer(TransformerTrunk):
    """`transformer.v1`."""

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """`[B, L, D]` in and out."""
        layout = laid_out(embedded, mask)
        turn = self._turn(layout, embedded) if self.ordered else None  # type: ignore[arg-type]
        hidden = layout.pack(embedded)
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, layout, turn)
        if self.final_norm is not None and stop is None:
            hidden = self.final_norm(hidden)
        return layout.unpack(hidden)


class PaddedConformer(ConformerTrunk):
    """`conformer.v1`."""

    laid = staticmethod(laid_out)  # type: ignore[assignment]


class PaddedConvolution(ConvolutionTrunk):
    """`convolution.v1`."""

    laid = staticmethod(laid_out)  # type: ignore[assignment]


class PaddedInceptionModule(InceptionModule):
    """The highest of three neighbours without a pooling layer, whose tracing asks for lengths."""

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """`[S, D, T]` -> `[S, D, T]`."""
        narrow = self.bottleneck(hidden)
        known = F.pad(hidden.masked_fill(real == 0, UNSEEN), (1, 1), value=UNSEEN)
        highest = torch.maximum(torch.maximum(known[:, :, :-2], known[:, :, 1:-1]), known[:, :, 2:])
        paths = [window(narrow) for window in self.windows]
        joined = torch.cat([*paths, self.pooled(highest * real)], dim=1) * real
        return F.relu(self.norm(joined, real))


class PaddedInception(InceptionTrunk):
    """`inception.v1`."""

    laid = staticmethod(laid_out)  # type: ignore[assignment]


class PaddedResidual1d(Residual1dTrunk):
    """`residual1d.v1`."""

    laid = staticmethod(laid_out)  # type: ignore[assignment]


def attend(
    module: nn.Module,  # noqa: ARG001 - theirs gives it
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention for layers of `transformers`, whose own asks how long a row is before it computes.

    Args:
        module: Whose attention it is.
        query: `[S, H, T, D/H]`, as `key` and `value`.
        key: What is looked at.
        value: What is taken from there.
        attention_mask: True where one is seen, `[S, 1, T, T]`.
        scaling: Of the scores; None: by the root of D/H.
    """
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(-1, -2)
    seen = scores.masked_fill(~attention_mask, UNSEEN).softmax(-1) @ value
    return seen.transpose(1, 2), None


class PaddedSegments(SegmentTrunk):
    """Layers of `transformers`, on rows laid out by a mask."""

    laid = staticmethod(laid_out)  # type: ignore[assignment]

    def part(self) -> None:
        """Have the layers attend as `attend` does; their configuration is a copy, as the model is."""
        from transformers import AttentionInterface

        AttentionInterface.register(ATTENTION, attend)
        settings: list[Any] = [module.config for module in self.modules() if hasattr(module, "config")]
        for one in settings:
            one._attn_implementation = ATTENTION  # no layer alone has a public way to say it


class PaddedDeberta(PaddedSegments, DebertaTrunk):
    """`deberta.v1`."""

    def part(self) -> None:
        """Nothing: its attention is its own."""


class PaddedAlbert(PaddedSegments, AlbertTrunk):
    """`albert.v1`."""


class PaddedModernBert(PaddedSegments, ModernBertTrunk):
    """`modernbert.v1`."""


class PaddedRecurrentLayer(RecurrentLayer):
    """Both directions, residual, norm, on rows with padding."""

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        """`[S, T, D]` -> `[S, T, D]`."""
        normed: Tensor = self.norm(hidden + read_both_ways(self.cell, hidden, lengths))
        return normed


class PaddedRecurrent(RecurrentTrunk):
    """`recurrent.v1`."""

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """`[B, L, D]` in and out."""
        layout = laid_out(embedded, mask)
        hidden = layout.pad(layout.pack(embedded))  # [S, T, D]
        lengths = layout.lengths(embedded.device)
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, lengths)
        return layout.unpack(layout.flatten(hidden))
