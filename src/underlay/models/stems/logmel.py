"""Log-mel frames of a fixed length to vectors, as Whisper's encoder begins."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from underlay.models.registries import STEMS
from underlay.models.stems.fixed import FixedStem


@STEMS("logmel.v1")
class LogMelStem(FixedStem):
    """Two convolutions along time, of which the second halves it, positions, normalisation, dropout.

    Args:
        mels: M.
        frames: T, even.
        width: D.
        positions: T / 2 learned positions; 0: none (the trunk is ordered by itself).
        norm_eps: Added to the variance; None: no normalisation (Whisper).
        dropout: After normalisation.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, ICML 2023, section 2.2.

    >>> import torch
    >>> LogMelStem(mels=8, frames=40, width=6)({"frames": torch.zeros(2, 40, 8)}).shape
    torch.Size([2, 20, 6])
    """

    array = "frames"

    def __init__(
        self,
        *,
        mels: int,
        frames: int,
        width: int,
        positions: int = 0,
        norm_eps: float | None = 1e-5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if frames < 2 or frames % 2 or positions not in (0, frames // 2):
            raise ValueError(f"{frames} frames must be an even number, and {positions} positions half of it or none")
        self.mels, self.frames, self.width, self.length = mels, frames, width, frames // 2
        self.entry = nn.Conv1d(mels, width, 3, padding=1)
        self.halving = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.finish_with(positions=positions, norm_eps=norm_eps, dropout=dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """`frames` `[B, T, M]` to `[B, T / 2, D]`."""
        frames = arrays["frames"]
        if tuple(frames.shape[1:]) != (self.frames, self.mels):
            raise ValueError(f"frames are {list(frames.shape[1:])}; this stem reads {[self.frames, self.mels]}")
        embedded = F.gelu(self.halving(F.gelu(self.entry(frames.transpose(1, 2))))).transpose(1, 2)
        return self.finished(embedded)
