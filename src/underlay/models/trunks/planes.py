"""Positions in rows `[B, L, C]` as planes `[B, C, H, W]` and back, without copying; padding as TensorFlow's."""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

LARGEST = 4096
"""Pixels a side; no picture that a trunk here reads is larger."""


def check_picture(size: Sequence[int], channels: int) -> None:
    """Refuse what is no picture's size.

    Raises:
        ValueError: `size` is not two sides of 1 to 4096, or `channels` not 1 to 64.
    """
    if len(size) != 2 or not all(1 <= side <= LARGEST for side in size) or not 1 <= channels <= 64:
        raise ValueError(f"size {list(size)} must be [H, W] of 1 to {LARGEST} each, and channels {channels} 1 to 64")


def to_planes(rows: Tensor, size: Sequence[int]) -> Tensor:
    """`[B, H * W, C]` -> `[B, C, H, W]`, channels last in memory."""
    return rows.reshape(rows.shape[0], size[0], size[1], -1).permute(0, 3, 1, 2)


def to_rows(planes: Tensor) -> Tensor:
    """`[B, C, H, W]` -> `[B, H * W, C]`."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)


def sizes_of(size: Sequence[int], strides: Sequence[int]) -> list[list[int]]:
    """Sides of what enters each layer, and of what leaves the last, by the strides of the layers.

    >>> sizes_of([7, 8], [1, 2])
    [[7, 8], [7, 8], [4, 4]]
    """
    found = [list(size)]
    for stride in strides:
        found.append([math.ceil(side / stride) for side in found[-1]])
    return found


def run_layers(
    layers: nn.ModuleList, sizes: Sequence[Sequence[int]], rows: Tensor, *, start: int, stop: int | None
) -> Tensor:
    """Run `layers[start:stop]`, each from planes to planes, on what enters layer `start`.

    Args:
        layers: Of a spatial trunk.
        sizes: What `sizes_of` gave.
        rows: `[B, L, C]`, L and C those of layer `start`.
        start: The first layer that runs.
        stop: The first that does not; None: all.
    """
    if rows.shape[1] != sizes[start][0] * sizes[start][1]:
        raise ValueError(f"{rows.shape[1]} pixels enter layer {start}; it reads {list(sizes[start])}")
    planes = to_planes(rows, sizes[start])
    for layer in layers[start:stop]:
        planes = layer(planes)
    return to_rows(planes)


class PlanesTrunk(nn.Module):
    """A trunk of one picture a row, whose layers go from planes to planes."""

    ordered = True
    spatial = True

    layers: nn.ModuleList
    sizes: list[list[int]]

    @property
    def positions(self) -> int:
        """Places it gives."""
        return self.sizes[-1][0] * self.sizes[-1][1]

    def forward(
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run layers `start` to `stop`; `[B, L, C]` in and out, L and C those of the picture at that layer."""
        return run_layers(self.layers, self.sizes, embedded, start=start, stop=stop)


class SameConv2d(nn.Conv2d):
    """A convolution whose output has `ceil(side / stride)` pixels a side; an odd pixel of padding goes to the end.

    Source: TensorFlow's `SAME`. PyTorch pads both sides alike, which shifts what a stride of 2 sees by a pixel.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Conv2d's own name
        """`[B, C, H, W]` -> `[B, K, ceil(H / stride), ceil(W / stride)]`."""
        before, extra = [], []
        for side, kernel, stride in zip(input.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            before.append(total // 2)
            extra.append(total % 2)
        if not any(extra):
            return F.conv2d(input, self.weight, self.bias, self.stride, tuple(before), 1, self.groups)
        padding = (before[1], before[1] + extra[1], before[0], before[0] + extra[0])
        return F.conv2d(F.pad(input, padding), self.weight, self.bias, self.stride, 0, 1, self.groups)
