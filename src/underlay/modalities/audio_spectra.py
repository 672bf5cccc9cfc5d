"""Log-mel energies as trained encoders read them: what Kaldi computes, and what Whisper computes.

Both are data of the checkpoint, not choices: a spectrum that differs by a window or a scale of mels is another input.

Source: Povey et al., The Kaldi Speech Recognition Toolkit, ASRU 2011 (`compute-fbank-feats`); Radford et al., Robust
Speech Recognition via Large-Scale Weak Supervision, ICML 2023, section 2.2; mel scale of the latter: Slaney, Auditory
Toolbox, Interval Research 1998-010.
"""

from functools import lru_cache

import numpy as np

KALDI_FLOOR = 2.0**-23
"""Energies below it count as it: the smallest step of a single-precision number near 1."""

EMPHASIS = 0.97
"""Share of the last sample that is subtracted from each, which lifts high frequencies."""

KALDI_LOWEST = 20.0
"""Hz where the first filter begins."""

WHISPER_FLOOR = 1e-10
WHISPER_RANGE = 8.0
"""Powers of ten below the loudest value of a recording at which it is cut."""

WHISPER_WINDOW, WHISPER_HOP = 400, 160
"""Samples of 16 000 Hz."""

_FRAMES = 2_048
"""Frames transformed at a time: 8 MiB of spectra in double precision."""


def kaldi_log_mel(samples: np.ndarray, *, rate: int, mels: int) -> np.ndarray:
    """Natural logarithm of the mel energies, float32 `[n]` -> `[T, M]`; what does not fill a frame is left out.

    Args:
        samples: -1 to 1.
        rate: Hz.
        mels: M.

    >>> kaldi_log_mel(np.zeros(16_000, np.float32), rate=16_000, mels=128).shape
    (98, 128)
    """
    window, hop = round(0.025 * rate), round(0.010 * rate)
    size = 1 << (window - 1).bit_length()
    if len(samples) < window:
        samples = np.pad(samples, (0, window - len(samples)))
    shape, filters = np.hanning(window), _kaldi_filters(rate, mels, size)
    framed = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    energies = np.empty((len(framed), mels), np.float32)
    for start in range(0, len(framed), _FRAMES):
        frames = framed[start : start + _FRAMES].astype(np.float64)
        frames = frames - frames.mean(axis=1, keepdims=True)
        before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
        power = np.square(np.abs(np.fft.rfft((frames - EMPHASIS * before) * shape, n=size)))
        energies[start : start + _FRAMES] = np.log(np.maximum(power @ filters, KALDI_FLOOR))
    return energies


def whisper_log_mel(samples: np.ndarray, *, mels: int, frames: int) -> np.ndarray:
    """Decimal logarithm of the mel energies, cut below and scaled to about -1 to 1, float32 `[n]` -> `[T, M]`.

    What is silent to the end of the `frames` is given once, as the last row.

    Args:
        samples: -1 to 1, at 16 000 Hz.
        mels: M.
        frames: The most that are read.
    """
    most = frames * WHISPER_HOP
    heard = samples[:most].astype(np.float64)
    if len(heard) + 2 * WHISPER_WINDOW <= most:
        heard = np.pad(heard, (0, 2 * WHISPER_WINDOW))  # the frames after these hold nothing either
    else:
        heard = np.pad(heard, (0, most - len(heard)))
    half = WHISPER_WINDOW // 2
    padded = np.pad(heard, half, mode="reflect")
    framed = np.lib.stride_tricks.sliding_window_view(padded, WHISPER_WINDOW)[::WHISPER_HOP]
    framed = framed[: len(heard) // WHISPER_HOP]
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WHISPER_WINDOW) / WHISPER_WINDOW)
    power = np.square(np.abs(np.fft.rfft(framed * shape)))
    energies = np.log10(np.maximum(power @ _slaney_filters(mels), WHISPER_FLOOR))
    cut = np.maximum(energies, energies.max() - WHISPER_RANGE)
    return np.asarray((cut + 4.0) / 4.0, np.float32)


@lru_cache(maxsize=16)
def _kaldi_filters(rate: int, mels: int, size: int) -> np.ndarray:
    """Triangles that are straight on the scale of mels, `[size / 2 + 1, M]`."""
    edges = np.linspace(_kaldi_mel(KALDI_LOWEST), _kaldi_mel(rate // 2), mels + 2)
    return _triangles(_kaldi_mel(np.arange(size // 2 + 1) * rate / size), edges)


@lru_cache(maxsize=16)
def _slaney_filters(mels: int) -> np.ndarray:
    """Triangles of one area, `[201, M]`."""
    edges = _slaney_hertz(np.linspace(0.0, 15.0 + 27.0 * np.log(8.0) / np.log(6.4), mels + 2))  # to 8 000 Hz
    bins = np.linspace(0.0, 8_000.0, WHISPER_WINDOW // 2 + 1)
    return np.asarray(_triangles(bins, edges) * (2.0 / (edges[2:] - edges[:-2])))


def _triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def _kaldi_mel(hertz: np.ndarray | float) -> np.ndarray:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0))


def _slaney_hertz(mel: np.ndarray) -> np.ndarray:
    """Straight up to 1 000 Hz (15 mel), logarithmic above: 27 steps from there to 6 400 Hz."""
    steps = np.maximum(mel, 15.0) - 15.0
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1_000.0 * np.exp(steps * np.log(6.4) / 27.0))
