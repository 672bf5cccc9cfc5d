"""Values over time to vectors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS
from underlay.models.stems.text import segment_positions


@STEMS("series.v1")
class SeriesStem(nn.Module):
    """A linear map of each patch of positions: its values beside what of them was observed.

    A missing value enters as 0 with an `observed` of 0: the map learns what that means.

    Args:
        channels: C of the series.
        width: D.
        patch: Positions that become one.
        positions: Longest segment (in patches) with learned places; 0: none (the trunk is ordered by itself).
        norm: Normalise what leaves. A trunk without places of its own wants it; one of convolutions is better off with
            the amplitudes.
        dropout: Of what leaves.

    >>> stem = SeriesStem(channels=2, width=4, patch=3)
    >>> arrays = {"values": torch.zeros(1, 5, 2), "observed": torch.ones(1, 5, 2), "mask": torch.ones(1, 5).long()}
    >>> stem(arrays).shape
    torch.Size([1, 2, 4])
    """

    def __init__(
        self,
        *,
        channels: int,
        width: int,
        patch: int = 1,
        positions: int = 0,
        norm: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if channels < 1 or patch < 1 or positions < 0:
            raise ValueError(f"{channels} channels, patches of {patch} and {positions} positions are no series")
        self.width = width
        self.patch = patch
        self.project = Linear(2 * channels * patch, width)
        self.places = nn.Embedding(positions, width) if positions else None
        self.norm = nn.LayerNorm(width) if norm or positions else None
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Embed `values` and `observed`, `[B, T, C]` each."""
        both = torch.cat([arrays["values"], arrays["observed"]], dim=-1)  # [B, T, 2 C]
        rows, length, channels = both.shape
        filled = F.pad(both, (0, 0, 0, -length % self.patch))
        patches = filled.reshape(-1, self.patch * channels)
        embedded: Tensor = self.project(patches).view(rows, -1, self.width)  # [B, L, D]
        if self.places is not None:
            embedded = embedded + self._placed(arrays["mask"], self.places)
        if self.norm is not None:
            embedded = self.norm(embedded)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Segment numbers of the patches `[B, L]`; None where all is one segment without padding."""
        mask = self._patched(arrays["mask"])
        return None if bool((mask == 1).all()) else mask

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        rows, length = arrays["mask"].shape
        return rows, -(-length // self.patch)

    def _patched(self, mask: Tensor) -> Tensor:
        """The first position of each patch speaks for it: segments begin with a patch, padding follows them."""
        return mask[:, :: self.patch]

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        where = segment_positions(self._patched(mask))
        if int(where.max()) >= places.num_embeddings:
            raise ValueError(f"a segment has {int(where.max()) + 1} patches; this stem knows {places.num_embeddings}")
        return F.embedding(where, places.weight)
