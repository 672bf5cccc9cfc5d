"""What a trained encoder reads of a recording: a spectrum, or the samples, exactly as it was trained on them.

A front is data: its kind is one of `FRONTS` and its arguments are numbers. A trained trunk suggests its own; a recipe
may name one for a trunk that starts from nothing (`model.read: {audio: {front: {kind: kaldi, patch: 16}}}`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from underlay.core import Encoded, RecipeError, nearest
from underlay.modalities.audio_spectra import WHISPER_HOP, kaldi_log_mel, whisper_log_mel

MOST = {"rate": 48_000, "mels": 256, "frames": 30_000, "patch": 256, "mel_stride": 256, "time_stride": 256, "tokens": 8}
"""Largest whole number an argument takes; the smallest is 1, of `tokens` 0."""

EPS = 1e-7
"""Added to the variance of samples before its root: that of wav2vec 2.0's own preparation."""


class Front(Protocol):
    """One way from samples to what a stem reads."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        ...

    @property
    def seconds(self) -> float | None:
        """The longest stretch it reads; None: any."""
        ...

    def encode(self, samples: np.ndarray) -> Encoded:
        """Arrays of one recording, float32 `[n]` given."""
        ...

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """Arrays of a batch."""
        ...

    def length(self, encoded: Encoded) -> int:
        """Positions of a recording."""
        ...

    def positions(self, samples: int) -> int:
        """Positions of so many samples."""
        ...

    def samples(self, positions: int) -> int:
        """The most samples that give so many positions."""
        ...

    def describe(self, limit: int) -> Mapping[str, Any]:
        """What its stem needs; `limit` is the most positions of a recording."""
        ...

    def problems(self) -> list[str]:
        """What cannot be."""
        ...


@dataclass(frozen=True)
class KaldiFront:
    """Kaldi's log-mel energies of a fixed length, standardised, in overlapping patches.

    Args:
        rate: Samples a second.
        mels: M.
        frames: T; a longer recording is cut, a shorter one filled up with zeros before they are standardised.
        mean: Subtracted.
        std: Twice it divides.
        patch: Mels and frames of a side of a patch.
        mel_stride: Mels between the beginnings of patches.
        time_stride: Frames between them.
        tokens: Learned vectors before the patches.

    Source: Gong, Chung and Glass, AST: Audio Spectrogram Transformer, Interspeech 2021, section 2.1.

    >>> KaldiFront(mels=16, frames=30, patch=4, mel_stride=3, time_stride=3).positions(0)
    45
    """

    stem: ClassVar[str] = "spectrogram.v1"

    rate: int = 16_000
    mels: int = 128
    frames: int = 1_024
    mean: float = 0.0
    std: float = 0.5
    patch: int = 16
    mel_stride: int = 10
    time_stride: int = 10
    tokens: int = 0

    @property
    def seconds(self) -> float:
        """The longest stretch it reads, to the end of the last frame."""
        return (0.010 * (self.frames - 1)) + 0.025

    def encode(self, samples: np.ndarray) -> Encoded:
        """`frames` float16 `[t, M]`; where the recording ends before T, the last row is what follows it."""
        frames = kaldi_log_mel(samples, rate=self.rate, mels=self.mels)[: self.frames]
        if len(frames) < self.frames:
            frames = np.pad(frames, ((0, 1), (0, 0)))
        return {"frames": ((frames - self.mean) / (2 * self.std)).astype(np.float16)}

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`frames` float32 `[B, T, M]`."""
        return {"frames": _filled(encoded, self.frames)}

    def length(self, encoded: Encoded) -> int:
        """All patches and tokens."""
        return self.positions(0)

    def positions(self, samples: int) -> int:
        """All patches and tokens."""
        high = (self.mels - self.patch) // self.mel_stride + 1
        return high * ((self.frames - self.patch) // self.time_stride + 1) + self.tokens

    def samples(self, positions: int) -> int:
        """All it reads."""
        return round(self.seconds * self.rate)

    def describe(self, limit: int) -> Mapping[str, Any]:
        """Arguments of `spectrogram.v1`."""
        names = ("mels", "frames", "patch", "mel_stride", "time_stride", "tokens")
        return {"name": self.stem, **{name: getattr(self, name) for name in names}, "limit": limit}

    def problems(self) -> list[str]:
        """What cannot be."""
        if self.patch > min(self.mels, self.frames):
            return [f"a patch of {self.patch} does not fit into {self.mels} mels and {self.frames} frames"]
        return [] if self.std > 0 else [f"std is {self.std}; it must be above 0"]


@dataclass(frozen=True)
class WhisperFront:
    """Whisper's log-mel energies of a fixed length, two frames a position.

    Args:
        rate: 16 000; its filters are made for it.
        mels: M.
        frames: T, even; a longer recording is cut, a shorter one followed by silence.

    >>> WhisperFront(mels=8, frames=40).positions(0)
    20
    """

    stem: ClassVar[str] = "logmel.v1"

    rate: int = 16_000
    mels: int = 80
    frames: int = 3_000

    @property
    def seconds(self) -> float:
        """The longest stretch it reads."""
        return self.frames * WHISPER_HOP / self.rate

    def encode(self, samples: np.ndarray) -> Encoded:
        """`frames` float16 `[t, M]`; where the recording ends before T, the last row is the silence behind it."""
        return {"frames": whisper_log_mel(samples, mels=self.mels, frames=self.frames).astype(np.float16)}

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`frames` float32 `[B, T, M]`."""
        return {"frames": _filled(encoded, self.frames)}

    def length(self, encoded: Encoded) -> int:
        """T / 2."""
        return self.positions(0)

    def positions(self, samples: int) -> int:
        """T / 2."""
        return self.frames // 2

    def samples(self, positions: int) -> int:
        """All it reads."""
        return self.frames * WHISPER_HOP

    def describe(self, limit: int) -> Mapping[str, Any]:
        """Arguments of `logmel.v1`."""
        return {"name": self.stem, "mels": self.mels, "frames": self.frames, "limit": limit}

    def problems(self) -> list[str]:
        """What cannot be."""
        found = [] if self.rate == 16_000 else [f"rate is {self.rate}; it must be 16000"]
        return found if self.frames % 2 == 0 else [*found, f"frames is {self.frames}; it must be even"]


@dataclass(frozen=True)
class WaveformFront:
    """The samples themselves, for a stem that has learned its own filters.

    Args:
        rate: Samples a second.
        normalise: Whether a recording is given mean 0 and variance 1.
        kernels: Samples that each convolution of the stem sees, in its own input.
        strides: How far apart its windows begin.

    >>> WaveformFront(kernels=(10, 3), strides=(5, 2)).positions(100)
    9
    """

    stem: ClassVar[str] = "waveform.v1"

    rate: int = 16_000
    normalise: bool = True
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)

    @property
    def seconds(self) -> None:
        """Any length."""
        return

    def encode(self, samples: np.ndarray) -> Encoded:
        """`samples` float32 `[n]`, at least as many as make a position."""
        given = samples.astype(np.float32)
        if self.normalise:
            given = (given - given.mean()) / np.sqrt(given.var() + EPS)
        return {"samples": np.pad(given, (0, max(0, self._shortest - len(given)))).astype(np.float32)}

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`samples` float32 `[B, n]`, 0 behind the end, and `count` int64 `[B]`."""
        count = np.array([len(row["samples"]) for row in encoded], np.int64)
        samples = np.zeros((len(encoded), int(count.max())), np.float32)
        for row, arrays in enumerate(encoded):
            samples[row, : count[row]] = arrays["samples"]
        return {"samples": samples, "count": count}

    def length(self, encoded: Encoded) -> int:
        """Positions of a recording."""
        return self.positions(len(encoded["samples"]))

    def positions(self, samples: int) -> int:
        """What is left of so many samples after all windows."""
        left = max(samples, self._shortest)
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            left = (left - kernel) // stride + 1
        return left

    def samples(self, positions: int) -> int:
        """The most samples that give so many positions."""
        return self._shortest + positions * math.prod(self.strides) - 1

    def describe(self, limit: int) -> Mapping[str, Any]:
        """Arguments of `waveform.v1`."""
        return {"name": self.stem, "kernels": list(self.kernels), "strides": list(self.strides), "limit": limit}

    def problems(self) -> list[str]:
        """What cannot be."""
        whole = all(type(one) is int and 1 <= one <= 1_024 for one in (*self.kernels, *self.strides))
        if whole and 1 <= len(self.kernels) == len(self.strides) <= 32:
            return []
        return [f"kernels {self.kernels} and strides {self.strides} must be as many whole numbers above 0 each"]

    @property
    def _shortest(self) -> int:
        """Samples that one position sees."""
        seen = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            seen = (seen - 1) * stride + kernel
        return seen


FRONTS: Mapping[str, type[KaldiFront] | type[WhisperFront] | type[WaveformFront]] = {
    "kaldi": KaldiFront,
    "whisper": WhisperFront,
    "waveform": WaveformFront,
}
"""By `kind`."""


def read_front(given: Mapping[str, Any]) -> Front | None:
    """The front that `given` describes; None where it is empty.

    Raises:
        RecipeError: Its kind or an argument is unknown, or a value out of range; all problems at once.

    >>> read_front({"kind": "whisper", "mels": 8, "frames": 40}).seconds
    0.4
    """
    if not given:
        return None
    kind = str(given.get("kind"))
    if kind not in FRONTS:
        raise RecipeError([f"audio.front.kind is {kind!r}; {nearest(kind, list(FRONTS))}"])
    known = {field.name: field for field in fields(FRONTS[kind])}
    own = {key: value for key, value in given.items() if key != "kind"}
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in own.items()}
    problems = [f"no argument {key!r}: {nearest(str(key), list(known))}" for key in arguments if key not in known]
    problems += [
        f"{key} is {value!r}; it is like {known[key].default!r}"
        for key, value in arguments.items()
        if key in known and not _alike(key, value, known[key].default)
    ]
    if not problems:
        made: Any = FRONTS[kind]
        front: Front = made(**arguments)
        problems = front.problems()
        if not problems:
            return front
    raise RecipeError([f"audio.front ({kind}): {problem}" for problem in problems])


def _alike(name: str, value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and (0 if name == "tokens" else 1) <= value <= MOST[name]
    if isinstance(default, float):
        return isinstance(value, int | float) and abs(value) < 1e4
    return isinstance(value, tuple)


def _filled(encoded: Sequence[Encoded], count: int) -> np.ndarray:
    """Frames of a batch, each followed by its last row up to `count`."""
    return np.stack(
        [
            np.pad(row["frames"].astype(np.float32), ((0, count - len(row["frames"])), (0, 0)), mode="edge")
            for row in encoded
        ]
    )
