"""Features to logits: pooled ones, or those of every position."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.initial import OwnParameters
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


@HEADS("tied.v1")
class TiedHead(OwnParameters):
    """Compares what the trunk gives with the vectors by which a stem reads its ids; a bias for each label besides.

    Input and output share one table, so that a rare label is learned from both sides.

    Args:
        width: D.
        outputs: K.
        column: The input column whose stem has the vectors.
        first: Id of the first label; the others follow it.
        dropout: Of what the trunk gives.

    Source: Press and Wolf, Using the Output Embedding to Improve Language Models, EACL 2017.
    """

    def __init__(self, *, width: int, outputs: int, column: str, first: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.column = column
        self.rows = slice(first, first + outputs)
        self.width = width
        self.dropout = Dropout(dropout)
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, features: Tensor, vectors: Tensor) -> Tensor:
        """`[..., D]` and the stem's vectors `[V, D]` -> `[..., K]`."""
        return F.linear(self.dropout(features), vectors[self.rows], self.bias)
