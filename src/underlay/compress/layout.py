"""Positions with one row a segment, as operations that a graph can hold: the padded twin of `models`' `Packing`."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How the positions of a batch `[B, L]` stand with one row for each segment, `[S, T]`.

    It answers what `Packing` does, but its "packed" positions are all `S * T` places, padding included, so that no
    shape follows from a Python number. S is B times the most segments of a row, T the longest segment.

    Args:
        rows: B.
        length: L.
        segments: S; a number that stands for any, while a model is traced.
        longest: T, likewise.
        place: Where each position of the flattened batch stands among the `S * T` places, `[B * L]`; None: as it is.
        present: Which positions of the batch are real, `[B, L]`; None: all.
        filled: Which places hold a position, `[S, T]`; None: all.
        counts: Positions of each segment, `[S]`; None: T.

    >>> layout = Layout.of(torch.tensor([[1, 2, 2], [1, 1, 0]]))
    >>> layout.filled.long().tolist()
    [[1, 0], [1, 1], [1, 1], [0, 0]]
    >>> layout.unpack(layout.pack(torch.tensor([[[3.0], [4], [5]], [[6], [7], [8]]]))).squeeze(-1).tolist()
    [[3.0, 4.0, 5.0], [6.0, 7.0, 0.0]]
    """

    rows: Any
    length: Any
    segments: Any
    longest: Any
    place: Tensor | None = None
    present: Tensor | None = None
    filled: Tensor | None = None
    counts: Tensor | None = None

    @classmethod
    def of(cls, mask: Tensor | None, shape: tuple[Any, Any] | None = None) -> "Layout":
        """Read segment numbers `[B, L]`, 0 at padding; without them, all of `shape` is one segment a row."""
        if mask is None:
            rows, length = shape or (0, 0)
            return cls(rows, length, rows, length)
        rows, length = mask.shape
        member = _members(mask)
        rank, counts = _ranks(member)
        longest = _number(counts.max())
        segments = member.shape[2]
        row = torch.arange(rows, device=mask.device).unsqueeze(1)
        present = mask > 0
        place = torch.where(present, (row * segments + mask - 1) * longest + rank, rows * segments * longest)
        filled = torch.arange(longest, device=mask.device) < counts.reshape(-1, 1)
        return cls(rows, length, rows * segments, longest, place.flatten(), present, filled, counts.flatten())

    @property
    def count(self) -> Any:
        """`S * T`: every place."""
        return self.segments * self.longest

    def pack(self, padded: Tensor) -> Tensor:
        """`[B, L, D]` -> `[S * T, D]`; some position of the batch where a place holds none."""
        flat = padded.flatten(0, 1)
        if self.place is None:
            return flat
        # One place more takes the padding. Numbers are scattered, not vectors: they are few.
        source = torch.zeros(self.count + 1, dtype=torch.long, device=flat.device)
        source = source.scatter(0, self.place, torch.arange(flat.shape[0], device=flat.device))
        return flat.index_select(0, source[:-1])

    def unpack(self, packed: Tensor) -> Tensor:
        """`[S * T, D]` -> `[B, L, D]`, 0 at padding."""
        if self.place is None or self.present is None:
            return packed.reshape(self.rows, self.length, packed.shape[1])
        flat = packed.index_select(0, self.place.clamp(max=self.count - 1))
        return flat.reshape(self.rows, self.length, packed.shape[1]) * self.present.unsqueeze(-1)

    def positions(self, device: torch.device) -> Tensor:
        """Rank of each place in its segment, `[S * T]`."""
        return torch.arange(self.longest, device=device).repeat(self.segments)

    def pad(self, packed: Tensor) -> Tensor:
        """`[S * T, D]` -> `[S, T, D]`, 0 where there is no position."""
        padded = packed.reshape(self.segments, self.longest, packed.shape[1])
        return padded if self.filled is None else padded * self.filled.unsqueeze(-1)

    def flatten(self, padded: Tensor) -> Tensor:
        """`[S, T, D]` -> `[S * T, D]`."""
        return padded.reshape(self.count, padded.shape[2])

    def real(self, device: torch.device) -> Tensor:
        """`filled`, ones where all are, `[S, T]`."""
        if self.filled is not None:
            return self.filled
        return torch.ones(self.segments, self.longest, dtype=torch.bool, device=device)

    def lengths(self, device: torch.device) -> Tensor:
        """Positions of each segment, `[S]`, at least 1: an empty row counts as one that nobody reads."""
        if self.counts is None:
            return torch.full((self.segments,), self.longest, dtype=torch.long, device=device)
        return self.counts.clamp(min=1)


def segment_ranks(mask: Tensor) -> Tensor:
    """Count positions from 0 in every segment; 0 at padding.

    >>> segment_ranks(torch.tensor([[1, 1, 1, 2, 2, 0]])).tolist()
    [[0, 1, 2, 0, 1, 0]]
    """
    return _ranks(_members(mask))[0].clamp(min=0)


def _members(mask: Tensor) -> Tensor:
    """Whether a position belongs to a segment, `[B, L, M]` with M the most segments of a row."""
    most = _number(mask.max())
    return mask.unsqueeze(-1) == torch.arange(1, most + 1, device=mask.device)


def _ranks(member: Tensor) -> tuple[Tensor, Tensor]:
    """Rank of each position in its segment `[B, L]`, -1 at padding, and the positions of each segment `[B, M]`."""
    running = member.long().cumsum(1)
    return (running * member).sum(-1) - 1, running[:, -1]


def _number(tensor: Tensor) -> Any:
    """The value as a number; while a model is traced, one that stands for any from 1 on."""
    number = tensor.item()
    torch._check(number >= 1)  # type: ignore[no-untyped-call]
    return number
