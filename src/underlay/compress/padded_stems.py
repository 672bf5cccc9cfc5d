"""Stems that count the positions of segments whatever the mask says, and always give the mask."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from underlay.compress.layout import segment_ranks
from underlay.models.stems import AudioStem, EventsStem, SeriesStem, TextStem


class PaddedText(TextStem):
    """`text.v1`."""

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Segment numbers as the modality gave them."""
        return arrays.get("mask")

    def _placed(self, length: int, mask: Tensor | None, places: nn.Embedding) -> Tensor:
        return places.weight[:length] if mask is None else F.embedding(segment_ranks(mask), places.weight)

    def _placed_behind(self, before: Tensor, mask: Tensor, places: nn.Embedding) -> Tensor:
        return F.embedding((segment_ranks(mask) + before.unsqueeze(1)) * (mask > 0), places.weight)


class PaddedEvents(EventsStem):
    """`events.v1`."""

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Segment numbers as the modality gave them."""
        return arrays["mask"]

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        return F.embedding(segment_ranks(mask), places.weight)


class PaddedAudio(AudioStem):
    """`audio.v1`."""

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Stretch numbers of the positions, `[B, L]`."""
        return arrays["mask"][:, :: self.stride]

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        return F.embedding(segment_ranks(mask), places.weight)


class PaddedSeries(SeriesStem):
    """`series.v1`."""

    def mask(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Segment numbers of the patches, `[B, L]`."""
        return self._patched(arrays["mask"])

    def _placed(self, mask: Tensor, places: nn.Embedding) -> Tensor:
        return F.embedding(segment_ranks(self._patched(mask)), places.weight)
