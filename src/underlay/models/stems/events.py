"""Ids of items, gaps of time and codes of attributes to vectors."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.registries import STEMS
from underlay.models.stems.text import segment_positions


@STEMS("events.v1")
class EventsStem(nn.Module):
    """The sum of what is known of each event: its item, the time since the one before, its attributes, its place.

    Args:
        vocabulary: Rows of the item table.
        width: D.
        gaps: Codes of the time between events; 0: it is not read.
        attributes: Codes of each attribute.
        positions: Longest segment with learned places; 0: none (the trunk is ordered by itself).
        dropout: Of what leaves.

    Source: Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, section III.A; the normalisation is
    that of BERT4Rec (Sun et al., CIKM 2019), which takes the place of the factor on the item vectors.

    >>> import torch
    >>> stem = EventsStem(vocabulary=9, width=4)
    >>> stem({"items": torch.tensor([[5, 7, 0]]), "mask": torch.tensor([[1, 1, 0]])}).shape
    torch.Size([1, 3, 4])
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        gaps: int = 0,
        attributes: list[int] | None = None,
        positions: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.width = width
        self.items = nn.Embedding(vocabulary, width)
        self.gaps = nn.Embedding(gaps, width) if gaps else None
        self.attributes = nn.ModuleList(nn.Embedding(size, width) for size in attributes or ())
        self.places = nn.Embedding(positions, width) if positions else None
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    @property
    def vectors(self) -> Tensor:
        """One for each id, `[V, D]`: what a head that shares them compares with."""
        return self.items.weight

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Embed `items` `[B, L]`, with `gaps` `[B, L]` and `attributes` `[B, L, A]` where they are read."""
        embedded: Tensor = self.items(arrays["items"])  # [B, L, D]
        if self.gaps is not None:
            embedded = embedded + self.gaps(arrays["gaps"])
        for at, table in enumerate(self.attributes):
            embedded = embedded + table(arrays["attributes"][..., at])
        if self.places is not None:
            embedded = embedded + self._placed(arrays["mask"], self.places)
        dropped: Tensor = self.dropout(self.norm(embedded))
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Segment numbers as the modality gave them; None where all is one segment without padding."""
        mask = arrays["mask"]
        return None if bool((mask == 1).all()) else mask

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        rows, length = arrays["items"].shape
        return rows, length

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        where = segment_positions(mask)
        if int(where.max()) >= places.num_embeddings:
            raise ValueError(f"a segment has {int(where.max()) + 1} events; this stem knows {places.num_embeddings}")
        return F.embedding(where, places.weight)
