"""Features to logits: pooled ones, or those of every position."""

from torch import Tensor, nn

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import HEADS


@HEADS("linear.v1")
class LinearHead(nn.Module):
    """Dropout and one linear layer."""

    def __init__(self, *, width: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.out = Linear(width, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """`[..., D]` -> `[..., K]`."""
        logits: Tensor = self.out(self.dropout(features))
        return logits


@HEADS("mlp.v1")
class MlpHead(nn.Module):
    """One hidden layer of the trunk's width between two dropouts."""

    def __init__(self, *, width: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Dropout(dropout), Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        """`[..., D]` -> `[..., K]`."""
        logits: Tensor = self.layers(features)
        return logits
