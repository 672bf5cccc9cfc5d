"""One stem a modality: inputs -> `[B, L, D]`."""

from underlay.models.stems.picture import PictureStem as PictureStem
from underlay.models.stems.text import TextStem as TextStem
