"""Samples to vectors by learned filters, as wav2vec 2.0 begins."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS


@STEMS("waveform.v1")
class WaveformStem(nn.Module):
    """Strided convolutions over samples, a projection to D, relative positions by a wide convolution, normalisation.

    Recordings of one length are read together, each length by itself: a norm over time, as wav2vec 2.0 has it, would
    take in the padding, and a row would depend on its batch mates.

    Args:
        kernels: Window of each convolution.
        strides: How far apart its windows begin.
        filters: Channels of the convolutions.
        width: D.
        bias: Whether the convolutions have one.
        normed: Norm over the channels after every convolution; else over time of each channel, after the first alone.
        reach: Positions that the convolution for relative positions sees; 0: none.
        groups: Of that one's channels.
        positions: Most positions with learned vectors of their own; 0: none (the trunk is ordered by itself).
        norm_eps: Added to the variance of the projection's input.
        last_norm: Whether the sum of projection and positions is normalised.
        dropout: At the end.

    Source: Baevski et al., wav2vec 2.0, NeurIPS 2020, sections 2 and 4.2.

    >>> stem = WaveformStem(kernels=[10, 3], strides=[5, 2], filters=4, width=6, reach=4, groups=2)
    >>> stem({"samples": torch.randn(2, 100), "count": torch.tensor([100, 60])}).shape
    torch.Size([2, 9, 6])
    """

    def __init__(
        self,
        *,
        kernels: list[int],
        strides: list[int],
        width: int,
        filters: int = 64,
        bias: bool = False,
        normed: bool = True,
        reach: int = 0,
        groups: int = 1,
        positions: int = 0,
        norm_eps: float = 1e-5,
        last_norm: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not 1 <= len(kernels) == len(strides) <= 32 or min(*kernels, *strides) < 1 or max(*kernels, reach) > 4_096:
            raise ValueError(f"kernels {kernels} and strides {strides} must be as many numbers of 1 to 4096 each")
        if min(filters, width, groups) < 1 or max(filters, width) > 1 << 16 or width % groups or reach < 0:
            raise ValueError(f"filters {filters}, width {width} and reach {reach}; groups {groups} divide the width")
        self.width = width
        self.kernels, self.strides = tuple(kernels), tuple(strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(filters if number else 1, filters, kernel, stride=stride, bias=bias)
            for number, (kernel, stride) in enumerate(zip(kernels, strides, strict=True))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(filters) for _ in kernels) if normed else None
        self.over_time = None if normed else nn.GroupNorm(filters, filters)
        self.before = nn.LayerNorm(filters, eps=norm_eps)
        self.project = Linear(filters, width)
        self.relative = nn.Conv1d(width, width, reach, padding=reach // 2, groups=groups) if reach else None
        self.norm = nn.LayerNorm(width, eps=norm_eps) if last_norm else None
        self.places = nn.Embedding(positions, width) if positions else None
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """`samples` `[B, n]`, of which each row's first `count` `[B]` are real, to `[B, L, D]`, 0 behind its end."""
        samples, count = arrays["samples"], arrays["count"]
        embedded = samples.new_zeros(*self.size(arrays), self.width).to(self.project.weight.dtype)
        for size in sorted(set(count.tolist())):
            rows = (count == size).nonzero().squeeze(1)
            read = self._read(samples.index_select(0, rows)[:, :size])  # [b, l, D]
            padded = F.pad(read, (0, 0, 0, embedded.shape[1] - read.shape[1]))
            embedded = embedded.index_copy(0, rows, padded.to(embedded.dtype))
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """1 at the positions of each row, `[B, L]`; None where all are real."""
        lengths = self._positions(arrays["count"])
        if bool((lengths == lengths.max()).all()):
            return None
        return (torch.arange(int(lengths.max()), device=lengths.device) < lengths.unsqueeze(1)).long()

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        return arrays["count"].shape[0], int(self._positions(arrays["count"]).max())

    def _positions(self, count: Tensor) -> Tensor:
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            count = (count - kernel) // stride + 1
        return count

    def _read(self, samples: Tensor) -> Tensor:
        """Rows of one length, `[b, n]` -> `[b, l, D]`."""
        hidden = samples.unsqueeze(1)
        for number, convolution in enumerate(self.convolutions):
            hidden = convolution(hidden)
            if self.norms is not None:
                hidden = self.norms[number](hidden.transpose(1, 2)).transpose(1, 2)
            elif number == 0 and self.over_time is not None:
                hidden = self.over_time(hidden)
            hidden = F.gelu(hidden)
        embedded: Tensor = self.project(self.before(hidden.transpose(1, 2)))
        if self.relative is not None:
            near = self.relative(embedded.transpose(1, 2))[:, :, : embedded.shape[1]]
            embedded = embedded + F.gelu(near).transpose(1, 2)
        if self.places is not None:
            if embedded.shape[1] > self.places.num_embeddings:
                raise ValueError(f"{embedded.shape[1]} positions; this stem knows {self.places.num_embeddings}")
            embedded = embedded + self.places.weight[: embedded.shape[1]]
        return embedded if self.norm is None else self.norm(embedded)
