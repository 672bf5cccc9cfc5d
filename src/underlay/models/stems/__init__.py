"""One stem a modality: inputs -> `[B, L, D]`."""

from underlay.models.stems.audio import AudioStem as AudioStem
from underlay.models.stems.events import EventsStem as EventsStem
from underlay.models.stems.features import FeaturesStem as FeaturesStem
from underlay.models.stems.image import ImageStem as ImageStem
from underlay.models.stems.logmel import LogMelStem as LogMelStem
from underlay.models.stems.picture import PictureStem as PictureStem
from underlay.models.stems.series import SeriesStem as SeriesStem
from underlay.models.stems.spectrogram import SpectrogramStem as SpectrogramStem
from underlay.models.stems.table import TableStem as TableStem
from underlay.models.stems.text import TextStem as TextStem
from underlay.models.stems.waveform import WaveformStem as WaveformStem
