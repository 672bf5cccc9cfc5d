"""Cells of a table to vectors: one position a column."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS

MISSING, UNKNOWN = 0, 1
"""Ids of a cell that says nothing, and of a category that is none of the known ones."""


@STEMS("table.v1")
class TableStem(nn.Module):
    """A number by the share of each bin that lies below it, a category by a row of a table; normalisation, dropout.

    What is missing has a row of its own, and so has an unknown category; a few cells of a training batch are made such,
    so that both mean something where the training rows have none of them. Each column has its own stem, whose
    parameters also say which column it is: cells need no positions.

    Args:
        width: D.
        edges: Bounds of the bins of a number, rising; empty for categories.
        categories: Ids a category can have beyond 0, which is missing; 0 for numbers.
        positions: Unused: a cell is one position.
        emptied: Share of cells made missing, and of categories made unknown, while training.
        dropout: After normalisation.

    Source: Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022, eq. 1
    (piecewise linear encoding with quantile bins), on scores that end with the outermost bins; one position a column as
    in Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021.

    >>> stem = TableStem(width=4, edges=[-1.0, 0.0, 1.0])
    >>> cell = {"number": torch.zeros(3, 1), "category": torch.zeros(3, 1).long(), "observed": torch.ones(3, 1)}
    >>> stem(cell).shape
    torch.Size([3, 1, 4])
    """

    def __init__(
        self,
        *,
        width: int,
        edges: list[float],
        categories: int = 0,
        positions: int = 0,
        emptied: float = 0.05,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if categories < 0 or (len(edges) < 2) == (categories == 0) or edges != sorted(set(edges)):
            raise ValueError(f"{len(edges)} edges and {categories} categories: give two rising edges, or categories")
        self.width = width
        self.edges = edges
        self.emptied = emptied
        self.kinds = nn.Embedding(categories + 1, width)
        self.number = Linear(len(edges) - 1, width) if edges else None
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Embed `number` and `category`, `[B, 1]`, where `observed` `[B, 1]` is 1."""
        category, there = arrays["category"], arrays["observed"] > 0
        if self.training and self.emptied > 0:
            drawn = torch.rand(category.shape, device=category.device)
            gone, unknown = drawn < self.emptied, drawn > 1 - self.emptied
            category = category.masked_fill(unknown & (category > UNKNOWN), UNKNOWN).masked_fill(gone, MISSING)
            there = there & ~gone
        embedded: Tensor = self.kinds(category)  # [B, 1, D]; row 0 where a number is missing
        if self.number is not None:
            shares = self._shares(arrays["number"])
            there = there.unsqueeze(-1)
            embedded = torch.where(there, self.number(shares).to(embedded.dtype), embedded)
        dropped: Tensor = self.dropout(self.norm(embedded))
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> None:
        """None: a missing cell is a value, so every position is real."""

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, 1)`."""
        return arrays["category"].shape[0], 1

    def _shares(self, number: Tensor) -> Tensor:
        """How much of each bin lies below the number, 0 to 1: `[B, 1]` -> `[B, 1, bins]`."""
        edges = torch.tensor(self.edges, dtype=number.dtype, device=number.device)
        return ((number.unsqueeze(-1) - edges[:-1]) / (edges[1:] - edges[:-1])).clamp(0, 1)
