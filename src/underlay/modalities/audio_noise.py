"""Recordings changed as training may change them, and damaged as rooms, microphones and lines damage them."""

from collections.abc import Callable

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.audio_mel import hertz_of, mel_of
from underlay.modalities.audio_options import AudioAugmentation

_NOISE = (30.0, 20.0, 15.0, 10.0, 5.0)
"""dB from signal to noise at severity 1 to 5: from a quiet room to a street."""

_CLIPPED = (0.8, 0.6, 0.4, 0.25, 0.1)
"""Share of the peak that is left."""

_LOWPASS = (0.75, 0.5, 0.35, 0.25, 0.15)
"""Share of the band that is left."""

_GAIN = (-6.0, -12.0, -18.0, -24.0, -30.0)
"""dB."""

_DROPPED = (0.02, 0.05, 0.1, 0.2, 0.35)
"""Share of 20-ms packets that a line loses."""

_TELEPHONE = (300.0, 3400.0)
"""Hz that a telephone line carries. Source: ITU-T G.712."""

_QUIETEST_RMS = 1e-6
Damage = Callable[[np.ndarray, int, int, np.random.Generator], np.ndarray]


def augment(samples: np.ndarray, rng: np.random.Generator, options: AudioAugmentation, *, rate: int) -> np.ndarray:
    """The samples moved in time, louder or quieter, in some noise, with a stretch and a band silenced; `[n]`, as long.

    Source: Park et al., SpecAugment, Interspeech 2019 (masking in time and frequency; here on samples, no warping).
    """
    changed = _shifted(samples, round(rng.uniform(-options.shift, options.shift) * len(samples)))
    changed = changed * np.float32(10 ** (rng.uniform(-options.gain, options.gain) / 20))
    if rng.random() < options.noise:
        changed = _with_noise(changed, rng.uniform(10, 40), rng)
    width = int(rng.uniform(0, options.mask) * len(samples))
    start = int(rng.integers(len(samples) - width + 1))
    changed = changed.copy()
    changed[start : start + width] = 0.0
    if options.band > 0:
        changed = changed - band(changed, rate, *_mel_band(rng, rate, options.band))
    return np.asarray(np.clip(changed, -1, 1), dtype=np.float32)


def corrupt(samples: np.ndarray, rate: int, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The samples with one kind of damage, `[n]`.

    Raises:
        UnknownName: `kind` is none of `KINDS`.
        UsageError: `severity` is not 1 to 5.
    """
    if kind not in KINDS:
        raise UnknownName("kind of audio damage", kind, KINDS)
    if not 1 <= severity <= len(_NOISE):
        raise UsageError(f"severity is {severity}", "give 1 (slight) to 5")
    return KINDS[kind](samples, rate, severity - 1, rng).astype(np.float32)


def band(samples: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """What lies between two frequencies, with soft shoulders of a tenth of each.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    >>> bool(np.abs(band(tone, 8000, 2000, 4000)).max() < 0.01)
    True
    """
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    rising = np.clip((hertz - 0.9 * low) / max(0.1 * low, 1e-9), 0, 1) if low > 0 else np.ones_like(hertz)
    falling = np.clip((1.1 * high - hertz) / max(0.1 * high, 1e-9), 0, 1)
    return np.fft.irfft(spectrum * rising * falling, n=len(samples)).astype(np.float32)


def _mel_band(rng: np.random.Generator, rate: int, widest: float) -> tuple[float, float]:
    """A stretch of the mel scale up to half the rate, at most so wide a share of it; Hz."""
    top = float(mel_of(rate / 2))
    width = rng.uniform(0, widest) * top
    low = rng.uniform(0, top - width)
    return float(hertz_of(low)), float(hertz_of(low + width))


def _shifted(samples: np.ndarray, by: int) -> np.ndarray:
    """Later by so many samples, silence where they came from."""
    moved = np.zeros_like(samples)
    kept = len(samples) - abs(by)
    if by >= 0:
        moved[by:] = samples[:kept]
    else:
        moved[:kept] = samples[-by:]
    return moved


def _with_noise(samples: np.ndarray, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """White noise so many dB below the samples; silence gets some that can just be heard."""
    level = max(float(np.sqrt(np.square(samples).mean())), _QUIETEST_RMS)
    noise = rng.standard_normal(len(samples)).astype(np.float32)
    return np.asarray(samples + np.float32(level * 10 ** (-decibels / 20)) * noise)


def _clipped(samples: np.ndarray, share: float) -> np.ndarray:
    most = share * float(np.abs(samples).max(initial=0.0))
    return np.asarray(np.clip(samples, -most, most))


def _telephone(samples: np.ndarray, rate: int, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """The band of a line, and its noise."""
    return _with_noise(band(samples, rate, *_TELEPHONE), decibels, rng)


def _quiet(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Quieter, then rounded to 16 bits as a recorder would."""
    return np.asarray(np.round(samples * 10 ** (decibels / 20) * 32768) / 32768)


def _lossy(samples: np.ndarray, rate: int, share: float, rng: np.random.Generator) -> np.ndarray:
    packet = max(1, round(0.02 * rate))
    lost = rng.random(-(-len(samples) // packet)) < share
    return np.where(np.repeat(lost, packet)[: len(samples)], np.float32(0), samples)


KINDS: dict[str, Damage] = {
    "clipping": lambda samples, rate, level, rng: _clipped(samples, _CLIPPED[level]),
    "gain": lambda samples, rate, level, rng: _quiet(samples, _GAIN[level]),
    "lowpass": lambda samples, rate, level, rng: band(samples, rate, 0.0, _LOWPASS[level] * rate / 2),
    "noise": lambda samples, rate, level, rng: _with_noise(samples, _NOISE[level], rng),
    "packets": lambda samples, rate, level, rng: _lossy(samples, rate, _DROPPED[level], rng),
    "telephone": lambda samples, rate, level, rng: _telephone(samples, rate, _NOISE[level] + 10, rng),
}
"""Name -> damage `(samples, rate, severity - 1, rng) -> samples`."""
