"""The four tables that a model's configuration may name, and what each entry promises."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from underlay.core import Registry

STEMS: Registry[type[nn.Module]] = Registry("stem")
"""Arrays of one column -> `[B, L, D]`; see `Stem`."""

TRUNKS: Registry[type[nn.Module]] = Registry("trunk")
"""`[B, L, D]` -> `[B, L, D]`; see `Trunk`."""

POOLINGS: Registry[type[nn.Module]] = Registry("pooling")
"""`(hidden [B, L, D], mask [B, L] or None)` -> `[B, D]`; built with `width`."""

HEADS: Registry[type[nn.Module]] = Registry("head")
"""`[..., D]` -> `[..., K]`: rows, or the positions of rows; built with `width`, `outputs` and `dropout`."""


class Stem(Protocol):
    """The embedding of one modality. Entries are modules whose keyword arguments are plain JSON data."""

    width: int

    def __call__(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """The continuous input `[B, L, D]`."""
        ...

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Segment numbers `[B, L]`, 0 for padding; None where nothing is padded."""
        ...

    def size(self, arrays: Mapping[str, Tensor]) -> tuple[int, int]:
        """`(B, L)` of what the call gives."""
        ...


class Trunk(Protocol):
    """What turns a signal into features, whatever the signal was.

    Entries hold their layers in `layers` (an `nn.ModuleList`): freezing, layer-wise learning rates and
    cached activations count them. `ordered` says whether the trunk knows the order of positions by itself;
    a stem below one that does not adds positions. A trunk may name in `below` what all its layers read besides what
    enters them; it learns and rests with the first.

    A `spatial` trunk reads one picture a row, its pixels in rows `[B, H * W, channels]`, and gives `positions` places
    of `width`; it is built with the picture's `size`, `[H, W]`. Its rows are never padded. Every other trunk reads what
    it gives, `[B, L, D]`, and its `channels` are its width.
    """

    width: int
    channels: int
    ordered: bool
    spatial: bool
    positions: int
    layers: nn.ModuleList

    def __call__(self, embedded: Tensor, mask: Tensor | None, *, start: int = 0, stop: int | None = None) -> Tensor:
        """Run layers `start` to `stop`; `[B, L, D]` out, 0 at padding."""
        ...


def is_spatial(name: str) -> bool:
    """Whether the trunk of this name reads pictures."""
    return bool(getattr(TRUNKS[name], "spatial", False))


def is_fixed(name: str) -> bool:
    """Whether the trunk of this name has nothing to learn and takes its width from the features it stands on."""
    return bool(getattr(TRUNKS[name], "fixed", False))


def check_sizes(*, width: int, depth: int) -> None:
    """Refuse sizes no trunk has; the layers of one with a billion would be made one by one.

    Raises:
        ValueError: `width` or `depth` is out of range.
    """
    if not (1 <= width <= 1 << 16 and 0 <= depth <= 1 << 10):
        raise ValueError(f"width {width} must be 1 to 65536 and depth {depth} 0 to 1024")
