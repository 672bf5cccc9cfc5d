"""Patches of a picture to vectors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.linear import Linear
from underlay.models.registries import STEMS
from underlay.models.stems.fixed import FixedStem

LARGEST = 4096
"""Pixels a side; no picture that a trunk here reads is larger."""


@STEMS("image.v1")
class ImageStem(FixedStem):
    """Each patch projected to D, a class token before them, learned positions, normalisation, dropout.

    Bytes become -1 to 1 where neither `mean` nor `std` is given, as in ViT's own training.

    Args:
        height: H, a multiple of `patch`.
        breadth: W, likewise.
        patch: Pixels a side of a patch.
        width: D.
        class_token: Whether a learned vector stands before the patches.
        positions: Places with learned positions, the class token included; 0: none (the trunk is ordered by itself).
        norm_eps: Added to the variance; None: no normalisation (ViT).
        mean: Subtracted from what is 0 to 1, one number or one a channel; None: 0.5.
        std: Divides then, likewise.
        dropout: After normalisation.

    >>> stem = ImageStem(height=8, breadth=12, patch=4, width=5, positions=6)
    >>> stem({"pixels": torch.zeros(2, 8, 12, 3, dtype=torch.uint8)}).shape
    torch.Size([2, 6, 5])

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, eq. 1.
    """

    array = "pixels"

    def __init__(
        self,
        *,
        height: int,
        breadth: int,
        patch: int,
        width: int,
        class_token: bool = False,
        positions: int = 0,
        norm_eps: float | None = 1e-6,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not all(1 <= patch <= side <= LARGEST and side % patch == 0 for side in (height, breadth)):
            raise ValueError(f"patches of {patch} do not fill a picture of {height} x {breadth}")
        self.length = height // patch * (breadth // patch) + class_token
        if positions not in (0, self.length):
            raise ValueError(f"there are {self.length} places and {positions} positions")
        self.height, self.breadth, self.patch, self.width = height, breadth, patch, width
        self.mean, self.std = (tuple(given or [0.5]) for given in (mean, std))
        if not all(len(one) in (1, 3) for one in (self.mean, self.std)) or min(self.std) <= 0:
            raise ValueError(f"mean {mean} and std {std} need 1 or 3 numbers each, and std above 0")
        self.patches = Linear(3 * patch * patch, width)
        self.token = nn.Parameter(torch.empty(width)) if class_token else None
        self.finish_with(positions=positions, norm_eps=norm_eps, dropout=dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Embed `pixels`, uint8 `[B, H, W, 3]`."""
        pixels = arrays["pixels"]
        if tuple(pixels.shape[1:]) != (self.height, self.breadth, 3):
            raise ValueError(f"pixels are {list(pixels.shape[1:])}; this stem reads {[self.height, self.breadth, 3]}")
        values = pixels.to(self.patches.weight.dtype) / 255
        values = (values - values.new_tensor(self.mean)) / values.new_tensor(self.std)
        patches = F.pixel_unshuffle(values.permute(0, 3, 1, 2), self.patch)  # [B, 3 * P * P, H / P, W / P]
        embedded: Tensor = self.patches(patches.flatten(2).transpose(1, 2).flatten(0, 1)).unflatten(
            0, (pixels.shape[0], -1)
        )
        if self.token is not None:
            embedded = torch.cat([self.token.expand(embedded.shape[0], 1, -1), embedded], dim=1)
        return self.finished(embedded)
