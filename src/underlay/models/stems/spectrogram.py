"""Patches of a spectrogram to vectors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from underlay.models.registries import STEMS
from underlay.models.stems.fixed import FixedStem

LARGEST = 1 << 16
"""Frames; ten minutes of hundredths of a second."""


@STEMS("spectrogram.v1")
class SpectrogramStem(FixedStem):
    """Square patches of a spectrogram of fixed size, learned vectors before them, learned positions, dropout.

    Patches come mel by mel, low ones first, each along time. Nothing is padded: what a recording lacks is silence.

    Args:
        mels: M.
        frames: T.
        patch: Mels and frames of a side.
        mel_stride: Mels between the beginnings of patches.
        time_stride: Frames between them.
        width: D.
        tokens: Learned vectors before the patches: AST has two.
        positions: Places with learned positions, tokens included; 0: none (the trunk is ordered by itself).
        norm_eps: Added to the variance; None: no normalisation (AST).
        dropout: After normalisation.

    Source: Gong, Chung and Glass, AST: Audio Spectrogram Transformer, Interspeech 2021, section 2.1.

    >>> stem = SpectrogramStem(mels=16, frames=30, patch=4, mel_stride=3, time_stride=3, width=5)
    >>> stem({"frames": torch.zeros(2, 30, 16)}).shape
    torch.Size([2, 45, 5])
    """

    array = "frames"

    def __init__(
        self,
        *,
        mels: int,
        frames: int,
        patch: int,
        mel_stride: int,
        time_stride: int,
        width: int,
        tokens: int = 0,
        positions: int = 0,
        norm_eps: float | None = 1e-6,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not (1 <= patch <= min(mels, frames) and max(mels, frames) <= LARGEST and min(mel_stride, time_stride) >= 1):
            raise ValueError(f"patches of {patch}, {mel_stride} x {time_stride} apart, on {mels} x {frames}")
        self.length = ((mels - patch) // mel_stride + 1) * ((frames - patch) // time_stride + 1) + tokens
        if positions not in (0, self.length) or not 0 <= tokens <= 64:
            raise ValueError(f"there are {self.length} places, {tokens} of them tokens, and {positions} positions")
        self.mels, self.frames, self.width = mels, frames, width
        self.patches = nn.Conv2d(1, width, patch, stride=(mel_stride, time_stride))
        self.tokens = nn.Parameter(torch.empty(tokens, width)) if tokens else None
        self.finish_with(positions=positions, norm_eps=norm_eps, dropout=dropout)

    def forward(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """`frames` `[B, T, M]` to `[B, L, D]`."""
        frames = arrays["frames"]
        if tuple(frames.shape[1:]) != (self.frames, self.mels):
            raise ValueError(f"frames are {list(frames.shape[1:])}; this stem reads {[self.frames, self.mels]}")
        embedded = self.patches(frames.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)
        if self.tokens is not None:
            embedded = torch.cat([self.tokens.expand(embedded.shape[0], -1, -1), embedded], dim=1)
        return self.finished(embedded)
