"""Real positions side by side, without padding, grouped by sequence length."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """How the positions of a padded batch stand in a packed one.

    A sequence is one segment of one row. Sequences of equal length stand side by side, so that attention
    takes each group as a dense block: no padding, no mask.

    Args:
        rows: B of the padded batch.
        length: L of the padded batch.
        source: Where each packed position comes from in the flattened batch, `[N]`; None: from its own place.
        groups: (length, number of sequences), lengths ascending.

    >>> packing = Packing.of(torch.tensor([[1, 1, 1], [1, 0, 0]]))
    >>> packing.groups, packing.source.tolist()
    (((1, 1), (3, 1)), [3, 0, 1, 2])
    """

    rows: int
    length: int
    source: Tensor | None
    groups: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """N: packed positions."""
        return sum(length * number for length, number in self.groups)

    @classmethod
    def over(cls, embedded: Tensor, mask: Tensor | None) -> "Packing":
        """The packing of a batch `[B, L, D]` under its segment numbers `[B, L]`; None: one segment, no padding."""
        return cls.dense(*embedded.shape[:2]) if mask is None else cls.of(mask)

    @classmethod
    def of(cls, mask: Tensor) -> "Packing":
        """Read segment numbers `[B, L]`; 0 is padding."""
        rows, length = mask.shape
        if bool((mask == 1).all()):
            return cls.dense(rows, length)
        flat = mask.flatten().long()
        index = flat.nonzero().squeeze(1)
        sequence = index // length * (flat.max() + 1) + flat[index]
        counts = torch.bincount(sequence)
        sizes = counts[sequence]
        order = (sizes * len(counts) + sequence).argsort(stable=True)
        lengths, numbers = torch.unique(counts[counts > 0], return_counts=True)
        return cls(rows, length, index[order], tuple(zip(lengths.tolist(), numbers.tolist(), strict=True)))

    @classmethod
    def dense(cls, rows: int, length: int) -> "Packing":
        """A batch in which every position is real."""
        return cls(rows, length, None, ((length, rows),))

    def pack(self, padded: Tensor) -> Tensor:
        """`[B, L, D]` -> `[N, D]`."""
        flat = padded.flatten(0, 1)
        return flat if self.source is None else flat.index_select(0, self.source)

    def unpack(self, packed: Tensor) -> Tensor:
        """`[N, D]` -> `[B, L, D]`, 0 at padding."""
        if self.source is None:
            return packed.view(self.rows, self.length, -1)
        flat = packed.new_zeros(self.rows * self.length, packed.shape[1]).index_copy(0, self.source, packed)
        return flat.view(self.rows, self.length, -1)

    def positions(self, device: torch.device) -> Tensor:
        """Rank of each packed position in its sequence, `[N]`."""
        return torch.cat([torch.arange(length, device=device).repeat(number) for length, number in self.groups])

    def lengths(self) -> Tensor:
        """Length of each sequence, in packed order, `[S]`."""
        lengths, numbers = zip(*self.groups, strict=True)
        return torch.tensor(lengths).repeat_interleave(torch.tensor(numbers))

    def real(self, device: torch.device) -> Tensor:
        """Which places of `pad`'s result hold a position, `[S, T]`."""
        lengths = self.lengths().to(device)
        return torch.arange(int(lengths[-1]), device=device) < lengths.unsqueeze(1)

    def pad(self, packed: Tensor) -> Tensor:
        """`[N, D]` -> a row for each sequence, 0 behind its end, `[S, T, D]`."""
        real = self.real(packed.device)
        padded = packed.new_zeros(real.numel(), packed.shape[1])
        return padded.index_copy(0, real.flatten().nonzero().squeeze(1), packed).view(*real.shape, -1)

    def flatten(self, padded: Tensor) -> Tensor:
        """Undo `pad`: `[S, T, D]` -> `[N, D]`."""
        return padded.flatten(0, 1).index_select(0, self.real(padded.device).flatten().nonzero().squeeze(1))
