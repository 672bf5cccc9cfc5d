"""Recordings that nobody made: bursts of tones and noise with the spectrum of the training recordings."""

import base64
import io
import wave

import numpy as np

LONG_PROBES = 0.02
"""Share of probes that are longer than is read at once, so that the cut is replayed too."""

OTHER_RATES = 0.2
"""Share of probes at another rate, so that resampling is replayed too."""

_LONGEST = 1.0
"""Seconds: golden rows stand in a bundle, and a second of 16 000 Hz takes 43 kB."""

_LONG_RATE = 4_000
"""Hz of the long ones: ten seconds take 53 kB in 8 bits."""


def probe(
    rng: np.random.Generator,
    *,
    rate: int,
    seconds: float,
    typical: float,
    centres: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> str:
    """A recording as `data:audio/wav;base64,...`.

    Args:
        rng: Draws it.
        rate: Of the modality, Hz.
        seconds: It reads at once.
        typical: Median length of the training recordings.
        centres: Of the mels, Hz `[M]`.
        mean: Their usual level, natural logarithm of the energy.
        std: Its spread.
    """
    draw = rng.random()
    if draw < LONG_PROBES:
        return address(shaped(rng, _LONG_RATE, 1.05 * seconds, centres, mean, std), _LONG_RATE, width=1)
    own = int(rng.choice([8_000, 11_025, 22_050])) if draw < LONG_PROBES + OTHER_RATES else rate
    length = float(np.clip(typical * rng.uniform(0.4, 1.6), 0.05, min(seconds, _LONGEST)))
    return address(shaped(rng, own, length, centres, mean, std), own, width=2)


def shaped(
    rng: np.random.Generator, rate: int, seconds: float, centres: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> np.ndarray:
    """Noise and tones in bursts, each burst with a level for each mel drawn around the usual one, float32 `[n]`."""
    count = max(2, int(seconds * rate))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    sound = np.zeros(count)
    for _ in range(int(rng.integers(1, 4))):
        walk = np.cumsum(rng.standard_normal(len(mean)))
        level = mean + std * (rng.normal(0.5, 0.7) + 0.3 * (walk - walk.mean()))
        envelope = np.exp(0.5 * np.interp(hertz, centres, np.clip(level, -23, 8)))
        burst = np.fft.irfft(envelope * np.fft.rfft(_excitation(rng, count, rate)), n=count)
        length = int(count * rng.uniform(0.2, 1.0))
        start = int(rng.integers(count - length + 1))
        shape = np.zeros(count)
        shape[start : start + length] = np.hanning(length + 2)[1:-1]
        sound += burst * shape
    return np.clip(sound, -1, 1).astype(np.float32)


def address(samples: np.ndarray, rate: int, *, width: int) -> str:
    """A WAV file in a string.

    Args:
        samples: Mono, -1 to 1.
        rate: Hz.
        width: Bytes a sample: 1 or 2.

    >>> address(np.zeros(4, np.float32), 8000, width=2)[:22]
    'data:audio/wav;base64,'
    """
    numbers = np.round(samples * 32767).astype("<i2") if width == 2 else np.round(samples * 127 + 128).astype(np.uint8)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, width, rate, len(samples), "NONE", ""))
        out.writeframes(numbers.tobytes())
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _excitation(rng: np.random.Generator, count: int, rate: int) -> np.ndarray:
    """White noise, a voice-like row of harmonics, or a sweep; of power 1."""
    kind = rng.random()
    if kind < 0.4:
        return np.asarray(rng.standard_normal(count))
    time = np.arange(count) / rate
    if kind < 0.8:
        pitch = rng.uniform(80, 300)
        harmonics = np.arange(1, max(2, int(rate / 2 / pitch)))
        phases = rng.uniform(0, 2 * np.pi, len(harmonics))
        voice = np.sin(2 * np.pi * pitch * harmonics[:, None] * time + phases[:, None]).sum(0)
        return np.asarray(voice * np.sqrt(2 / len(harmonics)))
    first, last = rng.uniform(100, rate / 2, 2)
    return np.asarray(np.sqrt(2) * np.sin(2 * np.pi * (first * time + (last - first) / (2 * time[-1]) * time**2)))
