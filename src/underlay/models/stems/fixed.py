"""What the stems whose values all have one size share."""

from collections.abc import Mapping

from torch import Tensor, nn

from underlay.models.dropout import Dropout
from underlay.models.initial import OwnParameters


class FixedStem(OwnParameters):
    """A stem that always gives as many vectors: learned positions, normalisation, dropout, and nothing is padded."""

    array: str
    """Its array's name."""

    width: int
    length: int

    def finish_with(self, *, positions: int, norm_eps: float | None, dropout: float) -> None:
        """Build what `finished` runs, when `width` and `length` are set.

        Args:
            positions: Places with learned positions, all or 0.
            norm_eps: Added to the variance; None: no normalisation.
            dropout: After normalisation.
        """
        self.places = nn.Embedding(positions, self.width) if positions else None
        self.norm = nn.LayerNorm(self.width, eps=norm_eps) if norm_eps is not None else None
        self.dropout = Dropout(dropout)

    def finished(self, embedded: Tensor) -> Tensor:
        """`[B, L, D]` -> `[B, L, D]`."""
        if self.places is not None:
            embedded = embedded + self.places.weight
        if self.norm is not None:
            embedded = self.norm(embedded)
        dropped: Tensor = self.dropout(embedded)
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> None:
        """Nothing is padded."""
        return

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        return arrays[self.array].shape[0], self.length
