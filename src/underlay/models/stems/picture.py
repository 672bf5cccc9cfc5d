"""Pixels as they are, for a trunk that reads pictures."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from underlay.models.dropout import Dropout
from underlay.models.registries import STEMS


@STEMS("picture.v1")
class PictureStem(nn.Module):
    """Normalised pixels in rows, `[B, H * W, C]`; nothing here learns.

    Bytes are scaled to 0..1 first; floats (a spectrogram) are taken as they are. A picture of one channel is repeated
    to as many as the trunk reads.

    Args:
        height: H.
        breadth: W.
        channels: C of what leaves.
        mean: Subtracted, one number or one a channel.
        std: Divides, one number or one a channel; above 0.
        dropout: Share of places whose pixel becomes the mean, while training; 0 for pictures that people look at.

    >>> stem = PictureStem(height=2, breadth=3, channels=3, mean=[0.5], std=[0.5])
    >>> stem({"pixels": torch.zeros(4, 2, 3, 3, dtype=torch.uint8)}).shape
    torch.Size([4, 6, 3])
    """

    def __init__(
        self, *, height: int, breadth: int, channels: int, mean: list[float], std: list[float], dropout: float = 0.0
    ) -> None:
        super().__init__()
        if min(height, breadth, channels) < 1:
            raise ValueError(f"a picture of {height} x {breadth} x {channels} has no pixels")
        if not all(len(one) in (1, channels) for one in (mean, std)) or min(std) <= 0:
            raise ValueError(f"mean {mean} and std {std} need 1 or {channels} numbers each, and std above 0")
        self.height, self.breadth = height, breadth
        self.width = channels
        self.mean, self.std = tuple(mean), tuple(std)
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Read `pixels`: `[B, H, W, C]`, `[B, H, W, 1]` or `[B, H, W]`, uint8 or float."""
        pixels = arrays["pixels"]
        if pixels.dim() == 3:
            pixels = pixels.unsqueeze(-1)
        if pixels.shape[1:3] != (self.height, self.breadth) or pixels.shape[3] not in (1, self.width):
            raise ValueError(
                f"pixels are {list(pixels.shape[1:])}; this stem reads {[self.height, self.breadth, self.width]}"
            )
        values = pixels / 255 if pixels.dtype == torch.uint8 else pixels
        values = (values - values.new_tensor(self.mean)) / values.new_tensor(self.std)  # [B, H, W, C]
        rows = values.expand(-1, -1, -1, self.width).reshape(values.shape[0], self.height * self.breadth, self.width)
        if not (self.training and self.dropout.p):
            return rows
        kept: Tensor = self.dropout(torch.ones_like(rows[:, :, :1]))
        return rows * (kept > 0)

    def mask(self, arrays: Mapping[str, Tensor]) -> None:
        """Nothing is padded."""
        return

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, H * W)`."""
        return arrays["pixels"].shape[0], self.height * self.breadth
