"""`audio.v1`: a recording -> standardised log-mel frames and a mask of stretches."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from underlay.core import BundleRefused, Encoded, Part, RowError, RowProblem, UsageError, attempt
from underlay.modalities import audio_noise, audio_slices
from underlay.modalities.audio_fit import SILENT_PEAK, STRIDE, check_learned, fit_audio
from underlay.modalities.audio_front import Front, read_front
from underlay.modalities.audio_mel import Filterbank
from underlay.modalities.audio_options import AudioOptions
from underlay.modalities.audio_probe import probe
from underlay.modalities.audio_reading import read
from underlay.modalities.audio_sketch import sketch_audio
from underlay.modalities.audio_statistics import log_mel_statistics
from underlay.modalities.registry import MODALITIES

MOST_THREADS = 4
"""Decoding and transforms release the interpreter; beyond four threads its own share is what is waited for."""


@MODALITIES("audio.v1")
@dataclass(frozen=True)
class Audio:
    """Recordings of one column; `fit` returns the one that can encode.

    Args:
        limit: Most positions the trunk reads of a stretch; None where it reads any.
        options: What the recipe asked for.
        learned: What `fit` found, JSON data: `rate`, `seconds`, `mean`, `std`, `facts`.
    """

    limit: int | None = None
    options: AudioOptions = field(default_factory=AudioOptions)
    learned: Mapping[str, Any] = field(default_factory=dict)

    trunk: ClassVar[str] = "convolution"
    files: ClassVar[bool] = True
    features: ClassVar[str] = "log-mel statistics"
    oddities: ClassVar[Mapping[str, str]] = {"silent_recording": "in which nothing can be heard"}

    @property
    def name(self) -> str:
        """`audio.v1`."""
        return "audio.v1"

    @classmethod
    def create(
        cls,
        *,
        assets: Mapping[str, bytes],  # noqa: ARG003 - every entry is created alike
        limit: int | None,
        options: Mapping[str, Any],
    ) -> "Audio":
        """An unfitted modality.

        Args:
            assets: The trunk's files; none is used.
            limit: Most positions the trunk reads of a stretch.
            options: See `AudioOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(limit, AudioOptions.read(options))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Audio":
        """Choose the rate and the length, and learn the usual level of every mel.

        Raises:
            DataError: No value is a recording.
        """
        return replace(self, learned=fit_audio(values, rng, limit=self.limit, options=self.options))

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self._known("rate"))

    @property
    def seconds(self) -> float:
        """Longest stretch read at once."""
        return float(self._known("seconds"))

    def encode(self, value: Any) -> Encoded:
        """`frames` float16 `[T, M]`, standardised, and `mask` uint8 `[T]`: 0 between stretches, k the k-th.

        Under a front, what it gives.

        Raises:
            RowError: It is no recording, or one that cannot be used.
        """
        if self._front is not None:
            return self._front.encode(np.concatenate(self._pieces(value)))
        return self._arrange([self._standardised(self._bank.log_mel(piece)) for piece in self._pieces(value)])

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many on several cores; a problem stands where a value cannot be used."""
        if len(values) < 2 * MOST_THREADS:
            return [attempt(self.encode, value) for value in values]
        with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
            return list(threads.map(partial(attempt, self.encode), values))

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`frames` float32 `[B, T, M]` and `mask` int64 `[B, T]`, T a multiple of the stride, 0 is padding.

        With the option `picture` also `pixels` float32 `[B, M, W, 1]`: the first stretch, low mels above, cut or filled
        up with the usual level to a fixed W.
        """
        if self._front is not None:
            return self._front.collate(encoded)
        longest = max(map(self.length, encoded)) * STRIDE
        frames = np.zeros((len(encoded), longest, self.options.mels), np.float32)
        mask = np.zeros((len(encoded), longest), np.int64)
        for row, arrays in enumerate(encoded):
            frames[row, : len(arrays["frames"])] = arrays["frames"]
            mask[row, : len(arrays["mask"])] = arrays["mask"]
        arrays = {"frames": frames, "mask": mask}
        if self.options.picture:
            arrays["pixels"] = np.stack([self._picture(row) for row in encoded])
        return arrays

    def length(self, encoded: Encoded) -> int:
        """Positions of one recording: four frames are one."""
        if self._front is not None:
            return self._front.length(encoded)
        return -(-len(encoded["mask"]) // STRIDE)

    def describe(self) -> Mapping[str, Any]:
        """What the stem `audio.v1` needs: `mels`, `stride`, `limit` (positions of the longest stretch).

        Under a front, what its stem needs.
        """
        if self._front is not None:
            return self._front.describe(self._positions)
        described: dict[str, Any] = {
            "name": self.name,
            "mels": self.options.mels,
            "stride": STRIDE,
            "limit": self._positions,
        }
        if self.options.picture:
            described["picture"] = {
                "name": "picture.v1",
                "height": self.options.mels,
                "breadth": self._positions * STRIDE,
                "channels": 3,
                "mean": [0.0],
                "std": [1.0],
            }
        return described

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why: `rate`, `seconds`, `cut`, `silent`, `max_length` and `warnings`."""
        facts = dict(self.learned.get("facts", {}))
        if facts:
            windows = self.options.windows if self.options.long == "windows" else 1
            facts["max_length"] = self._positions * windows + windows - 1
        return facts

    def samples(self, value: Any) -> np.ndarray:
        """The mono samples that are read of a recording, at the modality's rate, float32 `[n]`.

        Raises:
            RowError: As `encode`.
        """
        return np.concatenate(self._pieces(value))

    def augment(self, value: Any, rng: np.random.Generator) -> np.ndarray:
        """Samples moved in time, louder or quieter, in noise, with a stretch or a band silenced, as the options say.

        Raises:
            RowError: As `encode`.
        """
        return audio_noise.augment(self.samples(value), rng, self.options.augment, rate=self.rate)

    def parts(self, value: Any) -> tuple[Part, ...]:
        """Ten equal slices; none of what is no recording."""
        samples = self._samples_or_none(value)
        return () if samples is None else audio_slices.parts(len(samples), self.rate)

    def without(self, value: Any, parts: Sequence[Part]) -> np.ndarray:
        """Samples with silence in these slices; all of them is the silent recording."""
        return audio_slices.without(self.samples(value), parts)

    def substitutes(self, value: Any, part: Part) -> tuple[np.ndarray, ...]:
        """Samples with that slice a little louder or quieter, 5 ms late, or in faint noise."""
        return audio_slices.substitutes(self.samples(value), part, self.rate)

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
        """Samples damaged in one of `audio_noise.KINDS`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        return audio_noise.corrupt(self.samples(value), self.rate, kind, severity, rng)

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """SVG of the waveform with each slice shaded by its weight, -1 to 1."""
        return audio_slices.render(self.samples(value), self.rate, weights)

    def thumbnail(self, value: Any) -> str:
        """The waveform of what is read, small, as a `data:` address.

        Raises:
            RowError: As `encode`.
        """
        return audio_slices.thumbnail(self.samples(value))

    def odd(self, value: Any) -> tuple[str, ...]:
        """Whether there is nothing to hear."""
        samples = self._samples_or_none(value)
        return ("silent_recording",) if samples is not None and np.abs(samples).max(initial=0.0) < SILENT_PEAK else ()

    def probe(self, rng: np.random.Generator) -> str:
        """Bursts of tones and noise with the usual spectrum, as `data:audio/wav;base64,...`."""
        return probe(
            rng,
            rate=self.rate,
            seconds=self.seconds,
            typical=float(self._known("typical_seconds")),
            centres=self._bank.centres(),
            mean=self._level[0],
            std=self._level[1],
        )

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms of length, loudness, centre of the spectrum and crossings of zero; shares of the mels."""
        clips = (samples for value in values if (samples := self._samples_or_none(value)) is not None)
        return sketch_audio(((samples, self._bank.log_mel(samples)) for samples in clips), self.rate)

    def fingerprint(self, value: Any) -> np.ndarray:
        """Hashed pairs of spectral peaks, uint64, sorted; empty for what is no recording."""
        samples = self._samples_or_none(value)
        if samples is None:
            return np.empty(0, dtype=np.uint64)
        return audio_slices.fingerprint(samples, self._bank.log_mel(samples))

    def classical(self) -> Any:
        """Mean, spread, quantiles and changes of every mel, standardised; 0 for what is no recording."""
        return log_mel_statistics(self._frames_or_none, self.options.mels)

    def state(self) -> Mapping[str, bytes]:
        """`audio.json`."""
        settings = {"limit": self.limit, "options": asdict(self.options), "learned": dict(self.learned)}
        return {"audio.json": json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True).encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Audio":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: A file is missing, foreign or unreadable.
        """
        if set(files) != {"audio.json"}:
            raise BundleRefused(
                f"audio.v1 reads audio.json; there is {sorted(files)}", "seal it again", code="modality"
            )
        try:
            settings = json.loads(files["audio.json"])
            if set(settings) != {"limit", "options", "learned"}:
                raise ValueError(f"it holds {sorted(settings)}")
            options, learned = AudioOptions.read(settings["options"]), dict(settings["learned"])
            check_learned(learned, options=options, limit=settings["limit"])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
            raise BundleRefused(f"audio.json cannot be read: {error}", "seal it again", code="modality") from error
        return cls(settings["limit"], options, learned)

    @cached_property
    def _bank(self) -> Filterbank:
        return Filterbank(self.rate, self.options.mels)

    @cached_property
    def _level(self) -> tuple[np.ndarray, np.ndarray]:
        """Usual level of every mel and its spread, float32 `[M]`."""
        return np.array(self._known("mean"), np.float32), np.array(self._known("std"), np.float32)

    @cached_property
    def _front(self) -> Front | None:
        return read_front(self.options.front)

    @property
    def _positions(self) -> int:
        """Of the longest stretch."""
        if self._front is not None:
            return self._front.positions(round(self.seconds * self.rate))
        return -(-self._bank.frames(round(self.seconds * self.rate)) // STRIDE)

    def _known(self, name: str) -> Any:
        if name not in self.learned:
            raise UsageError(f"this audio modality has no {name} yet", "call fit first")
        return self.learned[name]

    def _pieces(self, value: Any) -> list[np.ndarray]:
        rule, windows = self.options.long, self.options.windows
        return read(value, rate=self.rate, seconds=self.seconds, rule=rule, windows=windows)

    def _standardised(self, frames: np.ndarray) -> np.ndarray:
        mean, std = self._level
        return np.asarray((frames - mean) / std)

    def _arrange(self, pieces: Sequence[np.ndarray]) -> Encoded:
        """The stretches one after another, each begun at a position and apart by one, so that none sees the next."""
        frames, numbers = [], []
        for number, piece in enumerate(pieces, start=1):
            gap = -len(piece) % STRIDE + STRIDE if number < len(pieces) else 0
            frames.append(np.pad(piece, ((0, gap), (0, 0))))
            numbers.append(np.repeat(np.array([number, 0], np.uint8), [len(piece), gap]))
        return {"frames": np.concatenate(frames).astype(np.float16), "mask": np.concatenate(numbers)}

    def _picture(self, encoded: Encoded) -> np.ndarray:
        breadth = self._positions * STRIDE
        picture = np.zeros((self.options.mels, breadth, 1), np.float32)
        frames = encoded["frames"][encoded["mask"] == 1][:breadth]
        picture[:, : len(frames), 0] = frames.T
        return picture

    def _samples_or_none(self, value: Any) -> np.ndarray | None:
        try:
            return self.samples(value)
        except RowError:
            return None

    def _frames_or_none(self, value: Any) -> np.ndarray | None:
        samples = self._samples_or_none(value)
        return None if samples is None else self._standardised(self._bank.log_mel(samples))
