"""The one-dimensional residual trunk: blocks of three convolutions with a way around them, for series and sounds.

Source: Wang, Yan and Oates, Time Series Classification from Scratch with Deep Neural Networks: A Strong Baseline, IJCNN
2017, section 2.3 (ResNet). Three things differ. Each position is normalised over its channels where the paper has batch
norm, so that a row does not depend on its batch mates and padding enters no figure. All blocks are as wide as the
trunk, where the paper's first has half the channels. The widest window has 7 positions in place of 8, which has no
middle.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.channels import ChannelNorm, ChannelTrunk


@TRUNKS("residual1d.v1")
class Residual1dTrunk(ChannelTrunk):
    """Residual blocks over each segment; the windows of a block go from wide to narrow.

    Args:
        width: D.
        depth: Blocks.
        kernels: Odd window widths, one a convolution of a block, in order.
        norm_eps: Added to the variance.
        dropout: After each block.

    >>> import torch
    >>> Residual1dTrunk(width=6, depth=2, kernels=[7, 5, 3])(torch.randn(2, 9, 6)).shape
    torch.Size([2, 9, 6])
    """

    def __init__(
        self, *, width: int, depth: int, kernels: list[int], norm_eps: float = 1e-5, dropout: float = 0.1
    ) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        if not 1 <= len(kernels) <= 64 or any(size % 2 == 0 or size < 1 for size in kernels):
            raise ValueError(f"kernels {kernels} must be 1 to 64 odd numbers")
        self.width = self.channels = width
        self.layers = nn.ModuleList(
            Residual1dBlock(width, kernels=kernels, norm_eps=norm_eps, dropout=dropout) for _ in range(depth)
        )


class Residual1dBlock(nn.Module):
    """Convolution, norm, activation, as often as there are windows; the last activation follows the sum."""

    def __init__(self, width: int, *, kernels: list[int], norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.windows = nn.ModuleList(nn.Conv1d(width, width, size, padding=size // 2, bias=False) for size in kernels)
        self.norms = nn.ModuleList(ChannelNorm(width, eps=norm_eps) for _ in kernels)
        self.around = ChannelNorm(width, eps=norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """`[S, D, T]` -> `[S, D, T]`, 0 where `real` `[S, 1, T]` is 0."""
        inner, last = hidden, len(self.windows) - 1
        for number, (window, norm) in enumerate(zip(self.windows, self.norms, strict=True)):
            inner = norm(window(inner), real)
            inner = inner if number == last else F.relu(inner)
        added: Tensor = self.dropout(F.relu(inner + self.around(hidden, real)))
        return added
