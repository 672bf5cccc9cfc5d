"""Series changed as sensors, clocks and cables change them."""

from collections.abc import Callable

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.series_cell import interpolated
from underlay.modalities.series_options import SeriesAugmentation
from underlay.modalities.series_scaling import Moments

RATES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Of every kind of damage at severity 1 to 5: noise over the deviation, share of positions lost, and so on."""

KNOTS = 4
"""Places where the speed of a warped series changes."""


def augment(numbers: np.ndarray, rng: np.random.Generator, *, rates: SeriesAugmentation) -> np.ndarray:
    """The series `[T, C]` cropped, shifted, warped, scaled and with noise, each as far as its rate says."""
    changed = _shift(_warp(_crop(numbers, rates.crop, rng), rates.warp, rng), rates.shift, rng)
    factors = 1 + rates.scaling * rng.standard_normal(numbers.shape[1])
    centre = Moments.of(changed).mean
    return _noise(centre + (changed - centre) * factors, rates.jitter, rng)


def corrupt(numbers: np.ndarray, kind: str, severity: int, rng: np.random.Generator) -> np.ndarray:
    """The series `[T, C]` with one kind of damage; at least one value stays.

    Raises:
        UnknownName: `kind` is none of `KINDS`.
        UsageError: `severity` is not 1 to 5.
    """
    if kind not in KINDS:
        raise UnknownName("kind of series damage", kind, KINDS)
    if not 1 <= severity <= len(RATES):
        raise UsageError(f"severity is {severity}", "give 1 (slight) to 5")
    damaged = KINDS[kind](numbers, RATES[severity - 1], rng)
    return numbers if np.isnan(damaged).all() else damaged


def smoothed(numbers: np.ndarray) -> np.ndarray:
    """The mean of each value and its two neighbours; a substitute that a reader takes for the same."""
    if len(numbers) < 3:
        return numbers
    found = numbers.copy()
    found[1:-1] = (numbers[:-2] + numbers[1:-1] + numbers[2:]) / 3
    return np.asarray(np.where(np.isnan(found), numbers, found))


def _noise(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(numbers + rate * Moments.of(numbers).spread * rng.standard_normal(numbers.shape))


def _drift(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """A line added that ends four rates of the deviation away."""
    slope = np.where(rng.random(numbers.shape[1]) < 0.5, -1.0, 1.0)
    return numbers + 4 * rate * Moments.of(numbers).spread * slope * np.linspace(0, 1, len(numbers))[:, None]


def _spikes(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Single values five deviations off."""
    struck = rng.random(numbers.shape) < rate / 5
    struck[rng.integers(len(numbers)), rng.integers(numbers.shape[1])] = True
    signs = np.where(rng.random(numbers.shape) < 0.5, -5.0, 5.0)
    return np.asarray(numbers + struck * signs * Moments.of(numbers).spread)


def _gaps(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """One stretch of all channels lost, and single values besides."""
    damaged, length = numbers.copy(), len(numbers)
    lost = int(rate * length)
    begin = int(rng.integers(length - lost + 1))
    damaged[begin : begin + lost] = np.nan
    damaged[rng.random(numbers.shape) < rate / 5] = np.nan
    return damaged


def _resampling(numbers: np.ndarray, rate: float, _: np.random.Generator) -> np.ndarray:
    """Seen through a slower clock: fewer samples, drawn out to the old length."""
    length = len(numbers)
    kept = max(2, round(length * (1 - rate)))
    if length < 3:
        return numbers
    times = np.arange(length, dtype=np.float64)
    coarse = interpolated(times, numbers, np.linspace(0, length - 1, kept))
    return interpolated(np.linspace(0, length - 1, kept), coarse, times)


def _flat(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """A sensor that hangs: one stretch repeats its first value."""
    damaged, length = numbers.copy(), len(numbers)
    lost = max(1, int(rate * length))
    begin = int(rng.integers(length - lost + 1))
    damaged[begin : begin + lost] = damaged[begin]
    return damaged


def _warp(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """The same course at a changing speed. Source: Um et al., Data Augmentation of Wearable Sensor Data, ICMI 2017."""
    length = len(numbers)
    if not rate or length < 4:
        return numbers
    speeds = 1 + rate * rng.uniform(-1, 1, size=KNOTS)
    speed = np.interp(np.linspace(0, KNOTS - 1, length - 1), np.arange(KNOTS), speeds)
    times = np.concatenate([[0.0], np.cumsum(speed)])
    return interpolated(np.arange(length, dtype=np.float64), numbers, times * (length - 1) / times[-1])


def _crop(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Both ends cut by up to `rate`, the rest stretched to the old length."""
    length = len(numbers)
    begin, end = rng.uniform(0, rate * (length - 1) / 2, size=2)
    if not rate or length < 4:
        return numbers
    return interpolated(np.arange(length, dtype=np.float64), numbers, np.linspace(begin, length - 1 - end, length))


def _shift(numbers: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    most = int(rate * len(numbers))
    by = int(rng.integers(-most, most + 1))
    if not by:
        return numbers
    moved = np.roll(numbers, by, axis=0)
    moved[slice(0, by) if by > 0 else slice(by, None)] = np.nan
    return numbers if np.isnan(moved).all() else moved


KINDS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "drift": _drift,
    "flat": _flat,
    "gaps": _gaps,
    "noise": _noise,
    "resampling": _resampling,
    "spikes": _spikes,
}
"""Name -> damage `(series [T, C], rate, rng) -> series`."""
