"""The slices of a recording: what explanations silence, attacks change and near-duplicates share."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from underlay.core import Part
from underlay.modalities.text_words import spread
from underlay.modalities.thumbnails import INK, drawing

SLICES = 10
"""Enough to say where, few enough that Shapley values over all of them can be computed."""

_WIDTH, _HEIGHT = 600, 80
_COLUMNS = 300
"""Strokes of a waveform picture."""

_PEAKS = 3
_PEAK_HOP = 4
"""Frames from peak to peak: 40 ms."""

_QUIET = np.log(1e-7)
"""Peaks in frames below -70 dB are noise of the recorder."""


def parts(samples: int, rate: int) -> tuple[Part, ...]:
    """Equal slices of so many samples, in order.

    >>> parts(20, 10)[-1]
    Part(start=18, stop=20, text='1.80-2.00 s')
    """
    edges = np.unique(np.linspace(0, samples, SLICES + 1).round().astype(int))
    return tuple(
        Part(int(start), int(stop), f"{start / rate:.2f}-{stop / rate:.2f} s") for start, stop in pairwise(edges)
    )


def without(samples: np.ndarray, left_out: Sequence[Part]) -> np.ndarray:
    """The samples with silence in these slices."""
    silenced = samples.copy()
    for part in left_out:
        silenced[part.start : part.stop] = 0.0
    return silenced


def substitutes(samples: np.ndarray, part: Part, rate: int) -> tuple[np.ndarray, ...]:
    """The samples with that slice quieter, louder, 5 ms late, or in faint noise: the same to an ear."""
    piece = samples[part.start : part.stop]
    hiss = 10 ** (-30 / 20) * float(np.sqrt(np.square(piece).mean())) if len(piece) else 0.0
    noise = np.random.default_rng(part.start).standard_normal(len(piece)).astype(np.float32)
    changed = (0.7 * piece, np.clip(1.4 * piece, -1.0, 1.0), np.roll(piece, round(0.005 * rate)), piece + hiss * noise)
    found = []
    for one in changed:
        other = samples.copy()
        other[part.start : part.stop] = one
        if not np.array_equal(other, samples):
            found.append(other)
    return tuple(found)


def render(samples: np.ndarray, rate: int, weights: Sequence[float]) -> str:
    """SVG of the waveform, each slice shaded: green pushes towards the answer (1), red away from it (-1)."""
    shades = []
    scale = _WIDTH / max(len(samples), 1)
    for part, weight in zip(parts(len(samples), rate), weights, strict=True):
        colour = "46,160,67" if weight >= 0 else "218,54,51"
        shades.append(
            f'<rect x="{part.start * scale:.1f}" y="0" width="{(part.stop - part.start) * scale:.1f}" '
            f'height="{_HEIGHT}" fill="rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})">'
            f"<title>{part.text}: {weight:+.3f}</title></rect>"
        )
    return (
        f'<svg class="audio" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="waveform of {len(samples) / rate:.2f} s">{"".join(shades)}'
        f'<path d="{_waveform(samples)}" stroke="#57606a" stroke-width="1" fill="none"/></svg>'
    )


def thumbnail(samples: np.ndarray) -> str:
    """The waveform alone, in fewer strokes, as a `data:` address."""
    path = f'<path d="{_waveform(samples, _COLUMNS // 2)}" stroke="{INK}" stroke-width="3" fill="none"/>'
    return drawing(path, width=_WIDTH, height=_HEIGHT)


def fingerprint(samples: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Sorted distinct hashes of pairs of spectral peaks and of the whole, uint64.

    Peaks survive another loudness, some noise and another file format; so nearly equal recordings share most of them.
    The whole is hashed in 16 bits a sample, so that equal recordings in other formats without loss are equal.

    Args:
        samples: Mono.
        frames: Their log-mel energies `[T, M]`.

    Source: Wang, An Industrial-Strength Audio Search Algorithm, ISMIR 2003 (pairs of peaks).
    """
    coarse = np.round(samples * 32_767).astype(np.int64).astype(np.uint64)
    order = np.arange(1, len(coarse) + 1, dtype=np.uint64) << np.uint64(16)
    whole = spread((coarse & np.uint64(0xFFFF)) | order).sum(keepdims=True)
    every = frames[::_PEAK_HOP]
    if len(every) < 2:
        return np.asarray(whole)
    loud = np.sort(np.argsort(every, axis=1)[:, -_PEAKS:], axis=1).astype(np.uint64)  # [t, 3]
    code = loud @ np.array([1, 1 << 8, 1 << 16], np.uint64)
    heard = every.max(axis=1) > _QUIET
    pairs = ((code[:-1] << np.uint64(24)) | code[1:])[heard[:-1] | heard[1:]]
    return np.unique(spread(np.concatenate([pairs, whole])))


def _waveform(samples: np.ndarray, columns: int = _COLUMNS) -> str:
    """A stroke from the lowest to the highest sample of each column."""
    if not len(samples):
        return ""
    edges = np.linspace(0, len(samples), min(columns, len(samples)) + 1).astype(int)
    low, high = (reduce.reduceat(samples, edges[:-1]) for reduce in (np.minimum, np.maximum))
    middle, step = _HEIGHT / 2, _WIDTH / len(low)
    shown = np.clip(np.stack([low, high]), -1, 1) * -middle + middle
    strokes = (f"M{at * step:.1f} {bottom:.1f}V{top:.1f}" for at, (bottom, top) in enumerate(shown.T))
    return "".join(strokes)
