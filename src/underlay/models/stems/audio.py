"""Log-mel frames to vectors."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.registries import STEMS
from underlay.models.stems.text import segment_positions


@STEMS("audio.v1")
class AudioStem(nn.Module):
    """Convolutions that halve time and frequency, a linear layer, learned positions, normalisation, dropout.

    Frames of padding enter every convolution as 0, as what lies beyond the end of a recording does; stretches of one
    recording stand at least a position apart, so none sees another.

    Args:
        mels: M.
        width: D.
        stride: Frames to a position, a power of two; one convolution for each halving.
        channels: Of the convolutions.
        positions: Longest stretch with learned positions; 0: none (the trunk is ordered by itself).
        norm_eps: Added to the variance.
        dropout: After normalisation.

    Source: Gulati et al., Conformer, Interspeech 2020, section 2.1 (convolution subsampling).

    >>> import torch
    >>> AudioStem(mels=8, width=6)({"frames": torch.zeros(2, 12, 8), "mask": torch.ones(2, 12)}).shape
    torch.Size([2, 3, 6])
    """

    def __init__(
        self,
        *,
        mels: int,
        width: int,
        stride: int = 4,
        channels: int = 32,
        positions: int = 0,
        norm_eps: float = 1e-5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        halvings = stride.bit_length() - 1
        if stride < 2 or stride != 1 << halvings or min(mels, width, channels) < 1:
            raise ValueError(
                f"stride {stride} must be a power of two of at least 2, mels {mels} and width {width} >= 1"
            )
        self.width = width
        self.stride = stride
        self.halvings = nn.ModuleList(
            nn.Conv2d(channels if number else 1, channels, 3, stride=2, padding=1) for number in range(halvings)
        )
        self.out = Linear(channels * -(-mels // stride), width)
        self.places = nn.Embedding(positions, width) if positions else None
        self.norm = nn.LayerNorm(width, eps=norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """`frames` `[B, T, M]` and `mask` `[B, T]`, T a multiple of the stride, to `[B, T / stride, D]`."""
        mask = arrays["mask"]
        seen = (arrays["frames"] * (mask > 0).unsqueeze(-1)).unsqueeze(1)  # [B, 1, T, M]
        for halving in self.halvings:
            mask = mask[:, ::2]
            seen = F.gelu(halving(seen)) * (mask > 0)[:, None, :, None]
        rows, _, length, _ = seen.shape
        flat = seen.transpose(1, 2).reshape(rows * length, -1)  # [B * L, channels * mels / stride]
        embedded: Tensor = self.out(flat).view(rows, length, -1)
        if self.places is not None:
            embedded = embedded + self._placed(mask, self.places)
        dropped: Tensor = self.dropout(self.norm(embedded))
        return dropped

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Stretch numbers of the positions, `[B, L]`; None where all is one stretch without padding."""
        mask = arrays["mask"][:, :: self.stride]
        return None if bool((mask == 1).all()) else mask

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)`."""
        rows, frames = arrays["mask"].shape
        return rows, -(-frames // self.stride)

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        at = segment_positions(mask)
        if int(at.max()) >= places.num_embeddings:
            raise ValueError(f"a stretch has {int(at.max()) + 1} positions; this stem knows {places.num_embeddings}")
        return F.embedding(at, places.weight)
