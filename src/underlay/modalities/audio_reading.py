"""From whatever a cell holds to mono samples at one rate: headers are checked before anything is decoded."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any, BinaryIO

import numpy as np

from underlay.core import MissingExtra, RowError
from underlay.modalities.audio_cut import spans
from underlay.modalities.audio_kinds import HEAD, READABLE, describe, kind_of, missing_bytes
from underlay.modalities.cell_files import address_bytes, address_parts, is_address, open_file

RATES = (1_000, 384_000)
"""Hz. Below, speech is unintelligible; above, no converter samples."""

MOST_CHANNELS = 32
LONGEST = 86_400.0
"""Seconds: a day. A header that announces more is damaged or a trap; of what is shorter only the span is decoded."""

SHORTEST = 0.01
"""Seconds: one hop between frames."""

LOUDEST = 16.0
"""Float samples stand between -1 and 1, some converters overshoot; beyond this they are numbers of another scale."""

_PCM = {"int8": 1 << 7, "int16": 1 << 15, "int32": 1 << 31, "int64": 1 << 15, "uint64": 1 << 15}
"""Full scale by type. Python's integers, which have no width, are read as 16-bit PCM."""

_TRUNCATED = 0.01
"""An MP3 without an exact header may end this share early."""


@dataclass(frozen=True)
class Header:
    """What is known of a recording before it is decoded.

    Args:
        frames: Samples of each channel.
        rate: Of them, Hz; None: that of whoever reads it.
        channels: How many.
    """

    frames: int
    rate: int | None
    channels: int

    def seconds(self, rate: int) -> float:
        """How long it is; `rate` where it does not say."""
        return self.frames / (self.rate or rate)


@dataclass(frozen=True)
class _Samples:
    """Decoded samples that came as they are: `[n]` or `[n, C]`."""

    values: np.ndarray
    rate: int | None


def inspect(value: Any) -> Header:
    """The header of a recording; samples are not decoded.

    Raises:
        RowError: It is none, or one that cannot be used.
    """
    found = _source(value)
    if isinstance(found, _Samples):
        return _checked(Header(len(found.values), found.rate, _channels(found.values)))
    with _opened(found) as sound:
        return _checked(Header(sound.frames, sound.samplerate, sound.channels))


def read(value: Any, *, rate: int, seconds: float, rule: str, windows: int) -> list[np.ndarray]:
    """Mono float32 samples at `rate`, a piece for each window that the rule leaves.

    Args:
        value: A path, a `data:` address, the bytes of a file, samples, or a mapping of one of these.
        rate: Hz.
        seconds: Of a window.
        rule: See `audio_cut.spans`.
        windows: At most so many.

    Raises:
        RowError: It cannot be used; the code says why.
    """
    found = _source(value)
    if isinstance(found, _Samples):
        header = _checked(Header(len(found.values), found.rate, _channels(found.values)), rate)
        pieces = [found.values[start:stop] for start, stop in _spans(header, rate, seconds, rule, windows)]
        mono = [piece.mean(axis=1, dtype=np.float32) if piece.ndim == 2 else piece for piece in pieces]
    else:
        with _opened(found) as sound:
            header = _checked(Header(sound.frames, sound.samplerate, sound.channels))
            mono = [_decoded(sound, *span) for span in _spans(header, rate, seconds, rule, windows)]
    most = round(seconds * rate)
    return [_finite(_resampled(piece, header.rate or rate, rate))[:most] for piece in mono]


def _channels(values: np.ndarray) -> int:
    return values.shape[1] if values.ndim == 2 else 1


def _spans(header: Header, rate: int, seconds: float, rule: str, windows: int) -> list[tuple[int, int]]:
    return spans(header.frames, room=round(seconds * (header.rate or rate)), rule=rule, windows=windows)


def _source(value: Any) -> _Samples | BinaryIO:
    """Samples, or an open file."""
    if value is None or (isinstance(value, float) and value != value):
        raise RowError("the recording is missing", "give a path, the bytes of a file, or samples", code="missing_audio")
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str) and is_address(text):
            return io.BytesIO(_from_address(text))
        if not text.strip():
            raise RowError("the recording is missing: the cell is empty", "give a path", code="missing_audio")
        return open_file(text, noun="recording")  # closed by `_opened`
    if isinstance(value, bytes | bytearray | memoryview):
        return io.BytesIO(bytes(value))
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, np.ndarray | Sequence):
        return _Samples(_samples(value), None)
    raise RowError(
        f"a recording is needed; found {value!r:.60} ({type(value).__name__})",
        "give a path, the bytes of a file, samples, or {'array': ..., 'sampling_rate': ...}",
        code="not_audio",
    )


def _of_mapping(value: Mapping[str, Any]) -> _Samples | BinaryIO:
    rate = value.get("sampling_rate")
    if rate is not None and not (isinstance(rate, Real) and float(rate).is_integer()):
        raise RowError(f"sampling_rate is {rate!r}", "give a whole number of Hz", code="rate")
    if value.get("array") is not None:
        if rate is None:
            raise RowError("an array came without its sampling_rate", "give both", code="missing_rate")
        return _Samples(_samples(value["array"]), int(float(rate)))
    inner = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if inner is None or isinstance(inner, Mapping):
        raise RowError(
            f"the cell holds the fields {sorted(map(str, value))} and no recording in them",
            "fill 'bytes', 'path', or 'array' and 'sampling_rate'",
            code="missing_audio",
        )
    return _source(inner)


def _samples(value: Any) -> np.ndarray:
    """Numbers as float32 in -1..1, `[n]` or `[n, C]`."""
    try:
        numbers = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise RowError(f"the samples are no array: {error}", "give one list of numbers", code="not_audio") from None
    if numbers.dtype.kind not in "iuf" or numbers.ndim not in (1, 2):
        if numbers.size:
            raise RowError(
                f"the samples are {numbers.dtype} of shape {list(numbers.shape)}",
                "give numbers, [n] or [n, channels]",
                code="not_audio",
            )
        numbers = np.zeros(0, np.float32)
    if numbers.dtype.kind in "iu":
        full = _PCM.get(str(numbers.dtype))
        if full is None or (numbers.size and int(np.abs(numbers.astype(np.int64)).max()) > full):
            raise RowError(
                f"the samples are {numbers.dtype} up to {np.abs(numbers.astype(np.float64)).max(initial=0):g}",
                "give 16-bit integers, or floats between -1 and 1",
                code="scale",
            )
        return (numbers / full).astype(np.float32)
    return np.asarray(numbers, dtype=np.float32)


def _from_address(text: str) -> bytes:
    return address_bytes(address_parts(text, noun="recording", example="data:audio/wav;base64,"), noun="recording")


@contextmanager
def _opened(file: BinaryIO) -> Iterator[Any]:
    """The decoder of a file whose kind is known and which is all there; errors of decoding become `RowError`."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtra("reading recordings", "audio") from error
    with file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = file.read(HEAD)
        kind = kind_of(head)
        if not size:
            raise RowError("the file is empty", "copy it again from its source", code="empty_file")
        if kind is None:
            raise RowError(
                f"the file is no recording: it is {describe(head)}",
                "give WAV, FLAC, Ogg or MP3; convert other kinds with ffmpeg",
                code="not_audio",
            )
        if missing := missing_bytes(file, kind, size):
            raise _truncated(f"{missing:,} bytes")
        try:
            with soundfile.SoundFile(file) as sound:
                yield sound
        except (soundfile.SoundFileError, OSError) as error:
            raise RowError(
                f"the {READABLE[kind]} file is damaged: {_reason(error)}",
                "copy it again from its source",
                code="damaged_audio",
            ) from None


def _reason(error: Exception) -> str:
    return str(error).partition(">: ")[2] or str(error)


def _truncated(what: str) -> RowError:
    return RowError(f"the recording breaks off: {what} are missing", "copy it again from its source", code="truncated")


def _checked(header: Header, rate: int | None = None) -> Header:
    """The header, where a recording can have it; one that does not say its rate has `rate`, if that is known.

    Raises:
        RowError: No samples, too short, too long, too many channels, or no rate of a recording.
    """
    rate = header.rate or rate
    if header.frames < 1:
        raise RowError("the recording has no samples", "remove the row, or record it again", code="no_samples")
    if not 1 <= header.channels <= MOST_CHANNELS:
        raise RowError(
            f"the recording has {header.channels} channels", f"1 to {MOST_CHANNELS} can be read", code="channels"
        )
    if rate is None:
        return header
    if not RATES[0] <= rate <= RATES[1]:
        raise RowError(f"the recording has {rate:,} samples a second", f"{RATES[0]:,} to {RATES[1]:,} can be",
                       code="rate")  # fmt: skip
    seconds = header.frames / rate
    if seconds > LONGEST:
        raise RowError(
            f"the header announces {seconds / 3600:,.0f} hours", f"{LONGEST / 3600:.0f} can be; cut it", code="too_long"
        )
    if seconds < SHORTEST:
        raise RowError(
            f"the recording is {1000 * seconds:.1f} ms long",
            f"{1000 * SHORTEST:.0f} ms are the least",
            code="too_short",
        )
    return header


def _decoded(sound: Any, start: int, stop: int) -> np.ndarray:
    """Frames `start` to `stop` as mono, a second at a time, so that many channels cost no more memory than one."""
    sound.seek(start)
    blocks, wanted = [], stop - start
    while wanted > 0:
        block = sound.read(min(wanted, sound.samplerate), dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block.mean(axis=1))
        wanted -= len(block)
    if wanted > _TRUNCATED * (stop - start) or not blocks:
        raise _truncated(f"{wanted:,} of {stop - start:,} samples")
    return np.concatenate(blocks)


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise MissingExtra("resampling recordings", "audio") from error
    return np.asarray(soxr.resample(samples, rate, wanted, quality="HQ"), dtype=np.float32)


def _finite(samples: np.ndarray) -> np.ndarray:
    if not np.isfinite(samples).all():
        bad = int((~np.isfinite(samples)).sum())
        raise RowError(
            f"{bad:,} of {len(samples):,} samples are NaN or infinite", "record or export it again", code="not_finite"
        )
    if (peak := float(np.abs(samples).max(initial=0.0))) > LOUDEST:
        raise RowError(
            f"a sample is {peak:g}; floats stand between -1 and 1", "divide by full scale (32768 of 16 bits)",
            code="scale",
        )  # fmt: skip
    return samples
