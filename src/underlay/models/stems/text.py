"""Token ids to vectors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS


@STEMS("text.v1")
class TextStem(nn.Module):
    """Word vectors, learned positions where the trunk has none of its own, normalisation, dropout.

    Positions restart at every segment, so that each window of a long document reads as a document.

    Args:
        vocabulary: Rows of the word table.
        padding: Id of the padding token.
        width: D.
        positions: Longest segment with learned positions; 0: no positions (the trunk is ordered by itself).
        norm_eps: Added to the variance; None: no normalisation (GPT-2).
        narrow: Width of the word vectors, where a linear layer after the normalisation widens them to D (ALBERT,
            ELECTRA).
        dropout: At the end.
        second: Whether it is the second text of a pair: its positions go on where those before it end.

    >>> stem = TextStem(vocabulary=9, padding=0, width=4, positions=6)
    >>> stem({"ids": torch.tensor([[5, 7, 0]]), "mask": torch.tensor([[1, 1, 0]])}).shape
    torch.Size([1, 3, 4])
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        padding: int,
        width: int,
        positions: int = 0,
        norm_eps: float | None = 1e-12,
        narrow: int | None = None,
        second: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        inner = width if narrow is None else narrow
        self.width = width
        self.padding = padding
        self.second = second
        self.words = nn.Embedding(vocabulary, inner)
        self.places = nn.Embedding(positions, inner) if positions else None
        self.norm = nn.LayerNorm(inner, eps=norm_eps) if norm_eps is not None else None
        self.project = None if narrow is None else Linear(inner, width)
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor], before: Tensor | None = None) -> Tensor:
        """Embed `ids` `[B, L]`; `mask` `[B, L]` says where segments begin.

        Args:
            arrays: What the modality collated.
            before: Positions that each row already has, `[B]`; None: none.
        """
        ids, mask = arrays["ids"], arrays.get("mask")
        embedded: Tensor = self.words(ids)  # [B, L, D]
        if self.places is not None:
            embedded = embedded + (
                self._placed(ids.shape[1], mask, self.places)
                if before is None
                else self._placed_behind(before, torch.ones_like(ids) if mask is None else mask, self.places)
            )
        if self.norm is not None:
            embedded = self.norm(embedded)
        if self.project is not None:
            embedded = self.project(embedded)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Segment numbers as the modality gave them; None where all is one segment without padding."""
        mask = arrays.get("mask")
        return None if mask is None or bool((mask == 1).all()) else mask

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        rows, length = arrays["ids"].shape
        return rows, length

    def _placed(self, length: int, mask: Tensor | None, places: nn.Embedding) -> Tensor:
        if mask is None or (int(mask.max()) <= 1 and bool((mask[:, 0] == 1).all())):  # right-padded: one row serves all
            return places.weight[:length] if length <= places.num_embeddings else self._too_long(length, places)
        return self._looked_up(segment_positions(mask), places)

    def _placed_behind(self, before: Tensor, mask: Tensor, places: nn.Embedding) -> Tensor:
        """As `_placed`, counted from `before` `[B]`; what stands at padding is never read, and stays in the table."""
        return self._looked_up((segment_positions(mask) + before.unsqueeze(1)) * (mask > 0), places)

    def _looked_up(self, positions: Tensor, places: nn.Embedding) -> Tensor:
        if int(positions.max()) >= places.num_embeddings:
            self._too_long(int(positions.max()) + 1, places)
        return F.embedding(positions, places.weight)

    def _too_long(self, length: int, places: nn.Embedding) -> Tensor:
        raise ValueError(f"a segment has {length} positions; this stem knows {places.num_embeddings}")


def segment_positions(mask: Tensor) -> Tensor:
    """Count positions from 0 at the start of every segment; 0 at padding.

    >>> segment_positions(torch.tensor([[1, 1, 1, 2, 2, 0]])).tolist()
    [[0, 1, 2, 0, 1, 0]]
    """
    index = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    begins = torch.ones_like(mask, dtype=torch.bool)
    begins[:, 1:] = mask[:, 1:] != mask[:, :-1]
    start = torch.where(begins, index, 0).cummax(dim=1).values
    return (index - start) * (mask > 0)
