"""Log-mel energies of samples, in NumPy.

Source: Davis & Mermelstein, Comparison of Parametric Representations for Monosyllabic Word Recognition, IEEE TASSP 1980
(triangular filters on the mel scale, then the logarithm); mel = 2595 log10(1 + f / 700): O'Shaughnessy, Speech
Communication: Human and Machine, 1987, the scale that HTK made common. Filters have height 1, not area 1: every mel is
standardised afterwards, which takes a constant factor out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WINDOW = 0.025
"""Seconds of a frame: a few periods of a voice, within which speech stands still."""

HOP = 0.010
"""Seconds between frames."""

FLOOR = 1e-10
"""Power below it counts as it: 100 dB under noise of full scale, under that of 16 bits."""

_FRAMES = 4_096
"""Frames transformed at a time: 16 MiB of spectra."""


@dataclass(frozen=True)
class Filterbank:
    """How samples at one rate become frames.

    Args:
        rate: Hz.
        mels: M.

    >>> Filterbank(16_000, 40).log_mel(np.zeros(16_000, np.float32)).shape
    (99, 40)
    """

    rate: int
    mels: int

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return round(WINDOW * self.rate)

    @property
    def hop(self) -> int:
        """Samples between the beginnings of frames."""
        return round(HOP * self.rate)

    @property
    def size(self) -> int:
        """Points of the Fourier transform: a power of two, at least two frames, so that no low filter is empty."""
        return 1 << (2 * self.window - 1).bit_length()

    def frames(self, samples: int) -> int:
        """T of so many samples: every sample stands in a frame, the last one is filled up with silence."""
        return 1 + max(0, -(-(samples - self.window) // self.hop))

    def samples(self, frames: int) -> int:
        """The most samples that give so many frames."""
        return self.window + (frames - 1) * self.hop

    def log_mel(self, samples: np.ndarray) -> np.ndarray:
        """Natural logarithm of the mel energies, float32 `[n]` -> `[T, M]`."""
        count = self.frames(len(samples))
        padded = np.zeros(self.samples(count), np.float32)
        padded[: len(samples)] = samples
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]  # [T, window]
        window, filters = _window(self.window), _filters(self.rate, self.mels, self.size)
        energies = np.empty((count, self.mels), np.float32)
        for start in range(0, count, _FRAMES):
            spectrum = np.fft.rfft(framed[start : start + _FRAMES] * window, n=self.size)
            power = np.square(spectrum.real) + np.square(spectrum.imag)  # [t, bins]
            energies[start : start + _FRAMES] = power.astype(np.float32) @ filters
        return np.log(np.maximum(energies, FLOOR, out=energies), out=energies)

    def centres(self) -> np.ndarray:
        """Frequency of each filter's peak, Hz `[M]`."""
        return _edges(self.rate, self.mels)[1:-1]


def mel_of(hertz: np.ndarray | float) -> np.ndarray:
    """Mel of a frequency.

    >>> round(float(mel_of(1000.0)))
    1000
    """
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0))


def hertz_of(mel: np.ndarray | float) -> np.ndarray:
    """Frequency of a mel."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0))


def _edges(rate: int, mels: int) -> np.ndarray:
    return hertz_of(np.linspace(0.0, float(mel_of(rate / 2)), mels + 2))


@lru_cache(maxsize=16)
def _window(length: int) -> np.ndarray:
    """Hann, periodic, over the root of its energy: white noise then has the same power at every rate."""
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    scaled = (shape / np.sqrt(np.square(shape).sum())).astype(np.float32)
    scaled.flags.writeable = False
    return np.asarray(scaled)


@lru_cache(maxsize=16)
def _filters(rate: int, mels: int, size: int) -> np.ndarray:
    """Triangles from edge to edge over the next, `[size / 2 + 1, M]`."""
    edges = _edges(rate, mels)
    bins = np.arange(size // 2 + 1)[:, None] * rate / size  # Hz
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    triangles.flags.writeable = False
    return np.asarray(triangles)
