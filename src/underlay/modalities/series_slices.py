"""Slices of time: what explanations take out, attacks replace and near-duplicates share."""

import html
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from underlay.core import Part
from underlay.modalities.series_cell import even_grid
from underlay.modalities.thumbnails import drawing

SLICES = 16
"""Enough to see where a model looks, few enough to take out every one."""

SHINGLE = 6
"""Positions a shingle."""

STEPS = 8
"""Levels a standard deviation, of the values in a shingle."""

WIDTH, HEIGHT = 480, 96
"""Of a picture, in pixels."""

DRAWN = 400
"""Points of a drawn line: beyond one a pixel nobody sees more."""

SKETCHED = 120
"""Points of a line in a list: two pixels each."""

COLOURS = ("#1f6feb", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#57606a")


def parts(length: int) -> tuple[Part, ...]:
    """Equal slices of `length` positions, in order.

    >>> [part.text for part in parts(3)]
    ['0 to 0', '1 to 1', '2 to 2']
    """
    edges = np.linspace(0, length, min(SLICES, length) + 1).astype(int).tolist()
    return tuple(Part(begin, end, f"{begin} to {end - 1}") for begin, end in pairwise(edges))


def without(numbers: np.ndarray, left_out: Sequence[Part]) -> np.ndarray:
    """The series `[T, C]` with the positions of these parts missing."""
    found = numbers.copy()
    for part in left_out:
        found[part.start : part.stop] = np.nan
    return found


def fingerprint(numbers: np.ndarray, *, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Sorted distinct hashes of the shingles and of the whole, uint64.

    Args:
        numbers: `[T, C]`.
        mean: Of the channels in training series, `[C]`.
        spread: Their standard deviation, `[C]`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        levels = np.nan_to_num(np.round((numbers - mean) / spread * STEPS), nan=1e6, posinf=1e5, neginf=-1e5)
        exact = np.nan_to_num(numbers, nan=np.pi).astype(np.float32).view(np.uint32).astype(np.uint64)
    moments = _mixed(np.clip(levels, -1e6, 1e6).astype(np.int64).astype(np.uint64))  # [T, C], each spread evenly
    rows = (moments * _odd(numbers.shape[1])).sum(axis=1, dtype=np.uint64)
    width = min(SHINGLE, len(rows))
    rolled = np.lib.stride_tricks.sliding_window_view(rows, width) @ _odd(width)
    places = np.arange(1, exact.size + 1, dtype=np.uint64) << np.uint64(32)
    whole = _mixed(exact.ravel() | places).sum(keepdims=True, dtype=np.uint64)
    whole = whole + np.uint64(numbers.shape[1])  # [2, 3] is not [3, 2]
    return np.unique(_mixed(np.concatenate([rolled, whole])))


def render(numbers: np.ndarray, weights: Sequence[float]) -> str:
    """An inline SVG: a line for each of the first channels, its slices shaded by their weight, -1 to 1.

    Green pushes towards the answer, red away from it. A gap in a line is a gap in the series.
    """
    length, shades = len(numbers), []
    for part, weight in zip(parts(length), weights, strict=True):
        left, right = (WIDTH * edge / length for edge in (part.start, part.stop))
        colour = "46,160,67" if weight >= 0 else "218,54,51"
        shades.append(
            f'<rect x="{left:.1f}" y="0" width="{right - left:.1f}" height="{HEIGHT}" '
            f'fill="rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})"><title>{html.escape(part.text)}: {weight:+.3f}'
            "</title></rect>"
        )
    lines = _lines(numbers, points=DRAWN, stroke=1.5)
    return (
        f'<svg class="series" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(shades)}{lines}</svg>'
    )


def thumbnail(numbers: np.ndarray) -> str:
    """The lines alone, of fewer points, as a `data:` address."""
    return drawing(_lines(numbers, points=SKETCHED, stroke=2.5), width=WIDTH, height=HEIGHT)


def _lines(numbers: np.ndarray, *, points: int, stroke: float) -> str:
    """A path for each of the first channels."""
    drawn = even_grid(numbers, min(len(numbers), points)) if len(numbers) > 1 else np.repeat(numbers, 2, axis=0)
    return "".join(
        f'<path d="{_path(channel)}" fill="none" stroke="{colour}" stroke-width="{stroke}"/>'
        for channel, colour in zip(drawn.T, COLOURS, strict=False)
    )


def _path(channel: np.ndarray) -> str:
    """One channel between 5 and 95 % of the height; a move behind every gap."""
    seen = np.isfinite(channel)
    if not seen.any():
        return ""
    low, high = float(channel[seen].min()), float(channel[seen].max())
    across = np.linspace(0, WIDTH, len(channel))
    up = np.full(len(channel), 0.5) if high == low else (channel - low) / (high - low)
    down = HEIGHT * (0.95 - 0.9 * up)
    pen = ["L" if place and seen[place - 1] else "M" for place in range(len(channel))]
    return " ".join(f"{pen[at]}{across[at]:.1f} {down[at]:.1f}" for at in np.flatnonzero(seen))


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Spread 64-bit numbers evenly. Source: Steele et al., Fast Splittable Pseudorandom Number Generators, 2014."""
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _odd(count: int) -> np.ndarray:
    """Odd numbers without a pattern, one a place."""
    return _mixed(np.arange(count, dtype=np.uint64)) | np.uint64(1)
