"""What a series modality learns: channels, scaling, a length, and how the values move."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import DataError
from underlay.modalities.series_cell import even_grid
from underlay.modalities.series_length import CAP, KERNEL_CAP, choose_length, shortened
from underlay.modalities.series_options import SeriesOptions
from underlay.modalities.series_scaling import Moments, bridged, scaled

SAMPLE = 2_000
"""Series that are kept to learn from, drawn at random."""

KEPT_VALUES = 25_000
"""Of one of them; longer ones are shortened, so that the sample stays below half a gigabyte."""

BINS = 32
"""Of the spectrum that synthetic series are drawn from."""

LONGEST = 1 << 20


@dataclass
class Survey:
    """One pass over the training series."""

    rng: np.random.Generator
    rows: int = 0
    channels: Counter[int] = field(default_factory=Counter)
    moments: dict[int, Moments] = field(default_factory=dict)
    normalised: int = 0
    lengths: list[int] = field(default_factory=list)
    missing: float = 0.0
    sample: list[np.ndarray] = field(default_factory=list)

    def add(self, numbers: np.ndarray) -> None:
        """Count one series `[T, C]` in."""
        self.rows += 1
        width = numbers.shape[1]
        own = Moments.of(numbers)
        self.channels[width] += 1
        self.moments[width] = self.moments[width].plus(own) if width in self.moments else own
        self.normalised += own.normalised
        self.lengths.append(len(numbers))
        self.missing += float(np.isnan(numbers).mean())
        kept = numbers
        if numbers.size > KEPT_VALUES:
            kept = shortened(numbers, max(64, KEPT_VALUES // width))
        if len(self.sample) < SAMPLE:  # Vitter 1985, algorithm R
            self.sample.append(kept)
        elif (place := int(self.rng.integers(self.rows))) < SAMPLE:
            self.sample[place] = kept


def fit_series(
    rows: Iterable[np.ndarray], rng: np.random.Generator, *, limit: int | None, options: SeriesOptions
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What was learned, JSON data, and a sample of the series as the model will see them, without NaN.

    Args:
        rows: Training series `[T, C]`, read once.
        rng: Draws the sample.
        limit: Positions the trunk can read; None: any number.
        options: What the recipe says.

    Raises:
        DataError: No value is a series.
    """
    survey = Survey(rng)
    for numbers in rows:
        survey.add(numbers)
    if not survey.rows:
        raise DataError(
            "no row holds a series", "name the column that does: --series COLUMN; a cell is a list of numbers",
            code="no_series",
        )  # fmt: skip
    channels = survey.channels.most_common(1)[0][0]
    lengths = np.array(survey.lengths)
    cap = KERNEL_CAP if options.kernels else CAP
    max_length, why = choose_length(
        lengths, asked=options.max_length, patch=options.patch, cap=cap, limit=None if options.kernels else limit
    )
    moments = survey.moments[channels]
    scale, reason = _scale(options.scale, survey)
    mean, spread = moments.mean, moments.spread
    kept = [one for one in survey.sample if one.shape[1] == channels]
    sample = [
        bridged(scaled(shortened(one, min(len(one), max_length)), scale=scale, mean=mean, spread=spread))
        for one in kept
    ]
    quantiles = [int(one) for one in np.quantile(lengths, [0.05, 0.25, 0.5, 0.75, 0.95])]
    facts = _facts(survey, channels, lengths, max_length, why, scale, reason, options)
    learned = {
        "channels": channels,
        "mean": [float(one) for one in mean],
        "spread": [float(one) for one in spread],
        "scale": scale,
        "max_length": max_length,
        "rows": survey.rows,
        "lengths": quantiles,
        "missing": survey.missing / survey.rows,
        "power": spectrum(sample),
        "facts": facts,
    }
    return learned, sample


def spectrum(rows: list[np.ndarray]) -> list[list[float]]:
    """Mean amplitude of each channel at `BINS` frequencies from 0 to half a turn a position, scaled units."""
    total = np.zeros((rows[0].shape[1], BINS))
    for row in rows:
        found = np.abs(np.fft.rfft(row, axis=0)) / len(row)
        total += even_grid(found, BINS).T
    return [[float(one) for one in channel] for channel in np.round(total / len(rows), 6)]


def check_learned(learned: Mapping[str, Any]) -> None:
    """Hold what a file says was learned against what `fit_series` could have learned.

    Raises:
        ValueError: It could not.
    """
    channels, length = learned["channels"], learned["max_length"]
    if not (type(channels) is int and 1 <= channels <= LONGEST and type(length) is int and 1 <= length <= LONGEST):
        raise ValueError(f"channels is {channels!r}, max_length {length!r}")
    if learned["scale"] not in ("none", "global", "each"):
        raise ValueError(f"scale is {learned['scale']!r}")
    for name, shape in (("mean", (channels,)), ("spread", (channels,)), ("power", (channels, BINS)), ("lengths", (5,))):
        numbers = np.array(learned[name], dtype=np.float64)
        if numbers.shape != shape or not np.isfinite(numbers).all():
            raise ValueError(f"{name} is no finite array of shape {shape}")
    if min(learned["spread"]) <= 0 or min(learned["lengths"]) < 1 or not 0 <= learned["missing"] <= 1:
        raise ValueError("spread, lengths or missing is out of range")
    if type(learned["rows"]) is not int or not isinstance(learned["facts"], dict):
        raise ValueError("rows is no count, or facts no mapping")


def _scale(asked: str, survey: Survey) -> tuple[str, str]:
    if asked != "auto":
        return asked, "asked for"
    share = survey.normalised / survey.rows
    if share > 0.95:
        return "each", f"{share:.0%} of the training series came with mean 0 and deviation 1".replace("%", " %")
    return "global", "mean and deviation of the training series, by channel"


def _facts(
    survey: Survey,
    channels: int,
    lengths: np.ndarray,
    max_length: int,
    why: str,
    scale: str,
    reason: str,
    options: SeriesOptions,
) -> dict[str, Any]:
    cut = float((lengths > max_length).mean())
    ways = {"windows": f"read in at most {options.windows} windows", "head": "cut behind that"}
    way = "averaged down to that" if options.kernels else ways.get(options.long, "averaged down to that")
    warnings = []
    if cut > 0.01:
        share = f"{cut:.0%}".replace("%", " %")
        warnings.append(
            f"{share} of the series have more than {max_length} positions (up to {lengths.max()}) and are {way}"
        )
    others = survey.rows - survey.channels[channels]
    if others:
        warnings.append(
            f"{others} of {survey.rows} series have another number of channels than {channels} and are refused"
        )
    return {
        "channels": channels,
        "sizes": _sizes(lengths, channels),
        "max_length": max_length,
        "patch": options.patch,
        "why": why,
        "longest": int(lengths.max()),
        "shortest": int(lengths.min()),
        "cut": cut,
        "long": way,
        "scale": scale,
        "scale_why": reason,
        "missing": survey.missing / survey.rows,
        "kernels": options.kernels,
        "warnings": warnings,
    }


def _sizes(lengths: np.ndarray, channels: int) -> str:
    """A clause for people."""
    least, middle, most = (f"{int(one):,}" for one in np.quantile(lengths, [0.0, 0.5, 1.0]))
    long = most if least == most else f"{least} to {most}"
    half = "" if least == most else f", half of them up to {middle}"
    return f"series of {long} positions{half}, {channels} {'channel' if channels == 1 else 'channels'}"
