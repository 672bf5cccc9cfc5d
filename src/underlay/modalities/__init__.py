"""Raw values -> arrays, one modality a kind of signal: fitted once, then pure. Imports no PyTorch.

>>> MODALITIES.full_name("text")
'text.v1'
"""

from underlay.modalities.audio import Audio as Audio
from underlay.modalities.audio_options import AudioAugmentation as AudioAugmentation
from underlay.modalities.audio_options import AudioOptions as AudioOptions
from underlay.modalities.events import Events as Events
from underlay.modalities.events_options import EventsAugmentation as EventsAugmentation
from underlay.modalities.events_options import EventsOptions as EventsOptions
from underlay.modalities.image import Image as Image
from underlay.modalities.image_options import ImageAugmentation as ImageAugmentation
from underlay.modalities.image_options import ImageOptions as ImageOptions
from underlay.modalities.registry import MODALITIES as MODALITIES
from underlay.modalities.series import Series as Series
from underlay.modalities.series_options import SeriesAugmentation as SeriesAugmentation
from underlay.modalities.series_options import SeriesOptions as SeriesOptions
from underlay.modalities.table import Cells as Cells
from underlay.modalities.text import Text as Text
from underlay.modalities.text_normaliser import NEUTRAL as NEUTRAL
from underlay.modalities.text_normaliser import normalise as normalise
from underlay.modalities.text_options import Augmentation as Augmentation
from underlay.modalities.text_options import TextOptions as TextOptions
from underlay.modalities.words import Words as Words
