"""The residual trunk: a small ResNet for small pictures, from scratch.

Source: He et al., Identity Mappings in Deep Residual Networks, ECCV 2016 (norm and activation first); Wu and He, Group
Normalization, ECCV 2018, in place of batch norm, so that no row depends on the others.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.planes import PlanesTrunk, SameConv2d, check_picture, sizes_of


@TRUNKS("residual.v1")
class ResidualTrunk(PlanesTrunk):
    """A convolution, stages of residual blocks, a last normalisation; each stage but the first halves the sides.

    Args:
        size: `[H, W]` of the picture.
        stages: `[blocks, channels]` of each stage.
        width: D, the channels of the last stage.
        channels: Of the picture.
        groups: Of the normalisation; divides the channels of every stage.
        dropout: Inside the blocks, between their convolutions.

    >>> trunk = ResidualTrunk(size=[6, 8], stages=[[1, 8], [1, 16]], width=16, groups=4)
    >>> trunk(torch.randn(2, 48, 3), None).shape
    torch.Size([2, 12, 16])
    """

    def __init__(
        self,
        *,
        size: list[int],
        stages: list[list[int]],
        width: int,
        channels: int = 3,
        groups: int = 8,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_picture(size, channels)
        if not stages or groups < 1 or any(len(stage) != 2 or min(stage) < 1 or stage[1] % groups for stage in stages):
            raise ValueError(f"stages {stages} must be [blocks, channels], channels a multiple of {groups} groups")
        if stages[-1][1] != width:
            raise ValueError(f"width is {width}; the last stage has {stages[-1][1]} channels")
        check_sizes(width=max(broad for _, broad in stages), depth=sum(count for count, _ in stages))
        self.channels, self.width = channels, width
        layers: list[nn.Module] = [SameConv2d(channels, stages[0][1], 3, bias=False)]
        strides, broad = [1], stages[0][1]
        for number, (count, wider) in enumerate(stages):
            for place in range(count):
                strides.append(2 if number and not place else 1)
                layers.append(ResidualBlock(broad, wider, stride=strides[-1], groups=groups, dropout=dropout))
                broad = wider
        layers.append(NormedActivation(width, groups))
        self.layers = nn.ModuleList(layers)
        self.sizes = sizes_of(size, [*strides, 1])


class NormedActivation(nn.Module):
    """Group norm and ReLU."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)

    def forward(self, planes: Tensor) -> Tensor:
        """`[B, C, H, W]`, the same shape."""
        if torch.is_grad_enabled() and not planes.requires_grad:
            # above frozen layers: PyTorch 2.13 crashes in the backward pass of channels that are last in memory
            planes = planes.contiguous()
        return F.relu(self.norm(planes))


class ResidualBlock(nn.Module):
    """Norm, activation, convolution, twice; added to the block's input, or to a projection of it."""

    def __init__(self, width: int, wider: int, *, stride: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.before = NormedActivation(width, groups)
        self.first = SameConv2d(width, wider, 3, stride=stride, bias=False)
        self.between = NormedActivation(wider, groups)
        self.dropout = Dropout(dropout)
        self.second = SameConv2d(wider, wider, 3, bias=False)
        changed = stride != 1 or width != wider
        self.project = SameConv2d(width, wider, 1, stride=stride, bias=False) if changed else None

    def forward(self, planes: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, K, H / stride, W / stride]`."""
        ready = self.before(planes)
        added: Tensor = self.second(self.dropout(self.between(self.first(ready))))
        return added + (planes if self.project is None else self.project(ready))
