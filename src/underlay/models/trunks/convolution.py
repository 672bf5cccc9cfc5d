"""The convolution trunk: several widths of window side by side, in residual layers.

Source: Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014 (one layer, max pooling);
residual layers with growing reach: Bai et al., An Empirical Evaluation of Generic Convolutional Networks, 2018.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.packing import Packing


@TRUNKS("convolution.v1")
class ConvolutionTrunk(nn.Module):
    """Residual layers of parallel convolutions over each segment; any signal, a fraction of attention's cost.

    Args:
        width: D.
        depth: Layers; layer n looks 2**n positions apart.
        kernels: Odd window widths side by side; their number divides `width`.
        norm_eps: Added to the variance.
        dropout: After each layer's activation.

    >>> ConvolutionTrunk(width=6, depth=2, kernels=[3, 5])(torch.randn(2, 9, 6)).shape
    torch.Size([2, 9, 6])
    """

    ordered = True
    spatial = False
    positions = 0
    laid = staticmethod(Packing.over)

    def __init__(
        self, *, width: int, depth: int, kernels: list[int], norm_eps: float = 1e-5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        if not kernels or width % len(kernels) or any(kernel % 2 == 0 or kernel < 1 for kernel in kernels):
            raise ValueError(f"kernels {kernels} must be odd and their number must divide the width {width}")
        self.width = self.channels = width
        self.layers = nn.ModuleList(
            ConvolutionLayer(width, kernels=kernels, dilation=2**number, norm_eps=norm_eps, dropout=dropout)
            for number in range(depth)
        )
        self.final_norm = nn.LayerNorm(width, eps=norm_eps)

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop` (None: to the end, final norm included), `[B, L, D]` in and out."""
        packing = self.laid(embedded, mask)
        hidden = packing.pad(packing.pack(embedded))  # [S, T, D]: a row for each segment, none sees another
        real = packing.real(embedded.device).unsqueeze(-1)
        for layer in self.layers[start:stop]:
            hidden = layer(hidden, real)
        packed = packing.flatten(hidden)
        if stop is None:
            packed = self.final_norm(packed)
        return packing.unpack(packed)


class ConvolutionLayer(nn.Module):
    """Norm, convolutions of several widths, activation, dropout, residual."""

    def __init__(self, width: int, *, kernels: list[int], dilation: int, norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.windows = nn.ModuleList(
            nn.Conv1d(width, width // len(kernels), kernel, dilation=dilation, padding=kernel // 2 * dilation)
            for kernel in kernels
        )
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """`[S, T, D]` -> `[S, T, D]`; what is not `real` `[S, T, 1]` enters every window as 0."""
        channels = (self.norm(hidden) * real).transpose(1, 2)  # [S, D, T]
        seen = torch.cat([window(channels) for window in self.windows], dim=1).transpose(1, 2)
        added: Tensor = hidden + self.dropout(F.gelu(seen))
        return added
