"""What a recipe may say about how recordings are read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from underlay.core import RecipeError
from underlay.modalities.audio_cut import RULES
from underlay.modalities.audio_front import read_front
from underlay.modalities.options import unknown_options

SPEECH_RATE = 16_000
"""Hz that `auto` does not go beyond: what tells words and sounds apart lies below 8 kHz."""

MOST_SECONDS = 300.0
"""A window is never longer: attention and memory grow with it."""

_RANGES = {"rate": (2_000, 48_000), "mels": (8, 256), "windows": (1, 64)}
_ALIASES = {"head-tail": "centre"}
"""Of `long`, as recipes write it for every kind of column."""


@dataclass(frozen=True)
class AudioAugmentation:
    """What `augment` does to samples.

    Args:
        shift: Largest shift in time, share of the recording.
        gain: Largest change of loudness, dB.
        noise: Share of recordings that get noise, 10 to 40 dB below them.
        mask: Longest stretch silenced, share of the recording.
        band: Widest band of frequencies silenced, share of what an ear tells apart (of the mel scale).
    """

    shift: float = 0.1
    gain: float = 6.0
    noise: float = 0.5
    mask: float = 0.1
    band: float = 0.0


@dataclass(frozen=True)
class AudioOptions:
    """How recordings are read.

    Args:
        rate: Samples a second, or `auto`: the most common of the training files, at most 16 000.
        seconds: Longest stretch read at once, or `auto`: the 0.99 quantile of the training recordings, at most 10.
        long: Which stretch of a longer one: `centre`, `head`, or `windows` (several, each by itself).
        windows: At most so many stretches where `long` is `windows`.
        mels: Bands of the spectrogram.
        picture: Whether a spectrogram of fixed size is made too, for a trunk that reads pictures.
        max_length: Most positions of a stretch, or `auto`; four frames are a position.
        front: What a trained encoder reads in place of our spectrogram; see `audio_front`. Empty: our spectrogram.
        augment: What training may do to a recording.

    >>> AudioOptions.read({"rate": 8000}).rate
    8000
    """

    rate: int | Literal["auto"] = "auto"
    seconds: float | Literal["auto"] = "auto"
    long: str = "centre"
    windows: int = 8
    mels: int = 64
    picture: bool = False
    max_length: int | Literal["auto"] = "auto"
    front: Mapping[str, Any] = field(default_factory=dict)
    augment: AudioAugmentation = field(default_factory=AudioAugmentation)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "AudioOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        augment = options.get("augment") or {}
        if isinstance(augment, AudioAugmentation):
            augment = asdict(augment)
        if not isinstance(augment, Mapping):
            raise RecipeError([f"audio.augment is {augment!r}; it must be a mapping"])
        problems = unknown_options(options, cls, "audio") + unknown_options(augment, AudioAugmentation, "audio.augment")
        if problems:
            raise RecipeError(problems)
        long = options.get("long", "centre")
        chosen = cls(**{**options, "long": _ALIASES.get(str(long), long), "augment": AudioAugmentation(**augment)})
        if problems := [*chosen._problems(), *chosen._of_front()]:
            raise RecipeError(problems)
        return chosen

    def _problems(self) -> list[str]:
        found = [
            f"audio.{name} is {value!r}; it must be a whole number from {low} to {high}"
            for name, (low, high) in _RANGES.items()
            if (value := getattr(self, name)) != "auto" or name != "rate"
            if type(value) is not int or not low <= value <= high
        ]
        if self.seconds != "auto" and not (_is_number(self.seconds) and 0.05 <= self.seconds <= MOST_SECONDS):
            found.append(f"audio.seconds is {self.seconds!r}; it must be 0.05 to {MOST_SECONDS:g}, or auto")
        if self.max_length != "auto" and (type(self.max_length) is not int or self.max_length < 2):
            found.append(f"audio.max_length is {self.max_length!r}; it must be a whole number of at least 2, or auto")
        if self.long not in RULES:
            found.append(f"audio.long is {self.long!r}; it must be one of {', '.join(RULES)}")
        if (picture := vars(self)["picture"]) not in (True, False):
            found.append(f"audio.picture is {picture!r}; it must be true or false")
        most = {"shift": 1.0, "gain": 60.0, "noise": 1.0, "mask": 1.0, "band": 1.0}
        values = {name: getattr(self.augment, name) for name in most}
        return found + [
            f"audio.augment.{name} is {value!r}; it must be between 0 and {most[name]:g}"
            for name, value in values.items()
            if not (_is_number(value) and 0 <= value <= most[name])
        ]

    def _of_front(self) -> list[str]:
        """What a front and the other options cannot have at once."""
        if not isinstance(vars(self)["front"], Mapping):
            return [f"audio.front is {self.front!r}; it must be a mapping: {{kind: kaldi}}"]
        front = read_front(self.front)
        if front is None:
            return []
        found = []
        if self.rate not in ("auto", front.rate):
            found.append(f"audio.rate is {self.rate}; the trunk reads {front.rate} samples a second")
        if self.long == "windows":
            found.append("audio.long is 'windows'; the trunk reads one stretch of a recording: centre or head")
        if self.picture:
            found.append("audio.picture and audio.front exclude each other; a trunk reads one of them")
        if front.seconds is not None and self.max_length not in ("auto", front.positions(0)):
            found.append(f"audio.max_length is {self.max_length}; the trunk reads {front.positions(0)} positions")
        return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
