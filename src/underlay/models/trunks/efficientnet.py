"""The EfficientNet-Lite trunk: inverted residual blocks without squeeze and excitation, batch norms folded in.

Every normalisation is part of the convolution before it, so that there are no running statistics and no row depends on
the others, in training neither.

Source: Tan and Le, EfficientNet, ICML 2019; Lite: Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020
(ReLU6, no squeeze and excitation, first and last layer as wide in every variant).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.planes import PlanesTrunk, SameConv2d, check_picture, sizes_of

LITE0 = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
]
"""Stages of EfficientNet-Lite0 (Tan and Le, table 1): blocks, kernel, stride, expansion, channels."""


@TRUNKS("efficientnet.v1")
class EfficientNetTrunk(PlanesTrunk):
    """A convolution, stages of inverted residual blocks, a 1 x 1 convolution to D.

    Args:
        size: `[H, W]` of the picture.
        first: Channels after the first convolution, which halves the sides.
        stages: `[blocks, kernel, stride, expansion, channels]` of each stage.
        width: D.
        channels: Of the picture.
        dropout: Share of rows that skip the last residual block in training; it grows from 0 at the first.

    >>> stages = [[1, 3, 1, 1, 8], [2, 5, 2, 6, 16]]
    >>> trunk = EfficientNetTrunk(size=[8, 8], first=8, stages=stages, width=32)
    >>> trunk(torch.randn(2, 64, 3)).shape
    torch.Size([2, 4, 32])
    """

    def __init__(
        self,
        *,
        size: list[int],
        first: int,
        stages: list[list[int]],
        width: int,
        channels: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_picture(size, channels)
        if not stages or any(len(stage) != 5 or min(stage) < 1 or stage[1] % 2 == 0 for stage in stages):
            raise ValueError(f"stages {stages} must be [blocks, odd kernel, stride, expansion, channels]")
        depth = sum(stage[0] for stage in stages)
        check_sizes(width=max(width, first, *(stage[3] * stage[4] for stage in stages)), depth=depth)
        self.channels, self.width = channels, width
        layers: list[nn.Module] = [ConvolutionLayer(channels, first, kernel=3, stride=2)]
        strides, broad = [2], first
        for count, kernel, stride, expansion, wider in stages:
            for place in range(count):
                strides.append(1 if place else stride)
                skip = dropout * len(layers) / (depth + 1)
                layers.append(
                    InvertedBlock(broad, wider, kernel=kernel, stride=strides[-1], expansion=expansion, skip=skip)
                )
                broad = wider
        layers.append(ConvolutionLayer(broad, width, kernel=1, stride=1))
        self.layers = nn.ModuleList(layers)
        self.sizes = sizes_of(size, [*strides, 1])


class ConvolutionLayer(nn.Module):
    """A convolution and ReLU6."""

    def __init__(self, width: int, wider: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = SameConv2d(width, wider, kernel, stride=stride)

    def forward(self, planes: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, K, H / stride, W / stride]`."""
        return F.relu6(self.convolution(planes))


class InvertedBlock(nn.Module):
    """Widen by 1 x 1, look around in each channel alone, narrow by 1 x 1; added to the input where shapes agree."""

    def __init__(self, width: int, wider: int, *, kernel: int, stride: int, expansion: int, skip: float) -> None:
        super().__init__()
        inner = width * expansion
        self.expand = SameConv2d(width, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(inner, inner, kernel, stride=stride, groups=inner)
        self.project = SameConv2d(inner, wider, 1)
        self.residual = stride == 1 and width == wider
        self.skip = skip

    def forward(self, planes: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, K, H / stride, W / stride]`."""
        wide = planes if self.expand is None else F.relu6(self.expand(planes))
        narrow: Tensor = self.project(F.relu6(self.depthwise(wide)))
        return planes + self._thinned(narrow) if self.residual else narrow

    def _thinned(self, added: Tensor) -> Tensor:
        """Zero for a share of the rows while training, the others scaled up. Source: Huang et al., ECCV 2016."""
        if not self.training or self.skip == 0:
            return added
        kept = torch.rand(len(added), 1, 1, 1, device=added.device) >= self.skip
        return added * kept / (1 - self.skip)
