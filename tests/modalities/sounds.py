"""Sounds as samples and as real files."""

import io
from pathlib import Path

import numpy as np
import soundfile

from underlay.modalities import Audio


def tone(hertz=440.0, seconds=0.5, rate=16_000, peak=0.4):
    """A sine, float32."""
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds=0.5, rate=16_000, peak=0.2, seed=0):
    """White noise, float32."""
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return np.clip(peak * drawn / 3, -1, 1).astype(np.float32)


def chirp(first=300.0, last=3_000.0, seconds=0.5, rate=16_000, peak=0.4):
    """A sweep, float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (peak * np.sin(2 * np.pi * (first * time + (last - first) / (2 * seconds) * time**2))).astype(np.float32)


def file_bytes(samples, rate=16_000, kind="WAV", subtype=None) -> bytes:
    """A file of that kind, in memory."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def fitted(values, *, limit=None, seed=0, **options) -> Audio:
    """An audio modality fitted on `values`."""
    return Audio.create(assets={}, limit=limit, options=options).fit(values, np.random.default_rng(seed))


def write_classes(folder: Path, count: int, *, rate=8_000, seed=0) -> Path:
    """A class folder of `count` recordings each: `tones`, `noises`, `chirps`."""
    rng = np.random.default_rng(seed)
    for kind in ("tones", "noises", "chirps"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seconds, peak = rng.uniform(0.25, 0.6), rng.uniform(0.1, 0.6)
            first, last = rng.uniform(300, 3_000, 2)
            if kind == "noises":
                made = noise(seconds, rate, peak, seed=number)
            else:
                made = chirp(first, last if kind == "chirps" else first, seconds, rate, peak)
            hiss = 0.003 * rng.standard_normal(len(made))
            soundfile.write(folder / kind / f"{number:03}.wav", (made + hiss).astype(np.float32), rate)
    return folder
