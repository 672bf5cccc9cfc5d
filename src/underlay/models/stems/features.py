"""A vector that says all of a row, computed before the model."""

from collections.abc import Mapping

from torch import Tensor, nn

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS


@STEMS("features.v1")
class FeaturesStem(nn.Module):
    """Fixed features as one position: as they are where the trunk is as wide, else projected.

    Args:
        count: F.
        width: D of what leaves.
        positions: There is one; nothing is learned about its place.
        dropout: Of what leaves, where it is projected.

    >>> import torch
    >>> FeaturesStem(count=7, width=7)({"features": torch.ones(2, 7)}).shape
    torch.Size([2, 1, 7])
    """

    def __init__(self, *, count: int, width: int, positions: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        if count < 1 or positions < 0:
            raise ValueError(f"{count} features at {positions} positions are none")
        self.width = width
        self.project = None if count == width else Linear(count, width)
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """`features` `[B, F]` -> `[B, 1, D]`."""
        features = arrays["features"]
        if self.project is None:
            return features.unsqueeze(1)
        projected: Tensor = self.dropout(self.project(features))
        return projected.unsqueeze(1)

    def mask(self, arrays: Mapping[str, Tensor]) -> None:
        """Nothing is padded."""
        return

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, 1)`."""
        return arrays["features"].shape[0], 1
