"""What an audio modality learns: a rate, a length, and the usual level of every mel."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import DataError, RowError, bytes_of
from underlay.modalities.audio_front import Front, read_front
from underlay.modalities.audio_mel import FLOOR, Filterbank
from underlay.modalities.audio_options import MOST_SECONDS, SPEECH_RATE, AudioOptions
from underlay.modalities.audio_reading import inspect, read

STRIDE = 4
"""Frames to a position: 40 ms, half a phone; attention over frames would cost sixteen times as much."""

LONGEST_AUTO = 10.0
"""Seconds that `auto` does not go beyond."""

COVERED = 0.99
MEASURED = 2_000
"""Recordings whose mels are averaged: some hundred thousand frames place a mean within a hundredth of its spread."""

KEPT_BYTES = 64 << 20
"""Raw values held at once while their rates and lengths are read."""

STD_FLOOR = 1e-2
"""A mel that never changes (above what a low-pass left) is divided by this at least."""

SILENT_PEAK = 1e-4
"""A recording whose peak stays 80 dB below full scale has nothing in it to learn from."""


@dataclass
class Sample:
    """A random selection of values whose bytes stay within a bound, in one pass.

    Every value is kept with the same probability, which halves whenever the bound is passed.

    Args:
        rng: Draws.
    """

    rng: np.random.Generator
    values: list[Any] = field(default_factory=list)
    _size: int = 0
    _share: float = 1.0

    def add(self, value: Any) -> None:
        """Maybe keep `value`."""
        if self._share < 1 and self.rng.random() >= self._share:
            return
        self.values.append(value)
        self._size += bytes_of(value)
        while len(self.values) > 1 and (self._size > KEPT_BYTES or len(self.values) > 2 * MEASURED):
            kept = self.rng.random(len(self.values)) < 0.5
            kept[int(self.rng.integers(len(kept)))] = True
            self.values = [one for one, stays in zip(self.values, kept, strict=True) if stays]
            self._size, self._share = sum(map(bytes_of, self.values)), self._share / 2

    def drawn(self) -> list[Any]:
        """At most `MEASURED` of what was kept, in random order."""
        return [self.values[at] for at in self.rng.permutation(len(self.values))[:MEASURED]]


def fit_audio(
    values: Iterable[Any], rng: np.random.Generator, *, limit: int | None, options: AudioOptions
) -> dict[str, Any]:
    """What was learned, JSON data.

    Args:
        values: Raw training values, read once.
        rng: Draws the sample that is measured.
        limit: Most positions the trunk reads of a stretch.
        options: What the recipe says.

    Raises:
        DataError: No value is a recording.
    """
    sample, rates, lengths, first = Sample(rng), Counter[int | None](), list[tuple[int, int | None]](), ""
    for value in values:
        try:
            header = inspect(value)
        except RowError as error:
            first = first or str(error)
            continue
        rates[header.rate] += 1
        lengths.append((header.frames, header.rate))
        sample.add(value)
    if not lengths:
        raise DataError(
            f"no row holds a recording{f': {first}' if first else ''}",
            "name the column that does: --audio COLUMN",
            code="no_audio",
        )
    front = read_front(options.front)
    rate, why_rate = choose_rate(rates, options.rate) if front is None else (front.rate, "the trunk reads it")
    durations = np.array([frames / (own or rate) for frames, own in lengths])
    if front is None:
        seconds, why = choose_seconds(durations, rate=rate, limit=limit, options=options)
    else:
        seconds, why = choose_front_seconds(durations, front=front, options=options)
    mean, std, measured = mel_statistics(sample.drawn(), rate=rate, seconds=seconds, options=options)
    facts: dict[str, Any] = {
        "rate": rate,
        "why_rate": why_rate,
        "rates": {str(own or rate): count for own, count in sorted(rates.items(), key=lambda one: one[0] or 0)},
        "seconds": seconds,
        "why": why,
        "cut": float((durations > seconds).mean()),
        "longest_seconds": float(durations.max()),
        "sizes": _sizes(durations, rates, rate),
        "long": options.long,
        **measured,
    }
    facts["warnings"] = warnings(facts)
    return {
        "rate": rate,
        "seconds": seconds,
        "rows": len(lengths),
        "mean": [round(float(one), 6) for one in mean],
        "std": [round(float(one), 6) for one in std],
        "typical_seconds": round(float(np.median(durations)), 4),
        "facts": facts,
    }


def choose_rate(rates: Mapping[int | None, int], asked: int | str) -> tuple[int, str]:
    """The rate and the sentence that says why.

    >>> choose_rate({44100: 9, 8000: 1}, "auto")
    (16000, 'most recordings have 44,100 Hz; what lies above 8,000 Hz is left out')
    """
    if asked != "auto":
        return int(asked), "asked for"
    known = {rate: count for rate, count in rates.items() if rate is not None}
    if not known:
        return SPEECH_RATE, "the recordings do not say theirs"
    common = max(known, key=lambda rate: (known[rate], rate))
    if common > SPEECH_RATE:
        why = f"most recordings have {common:,} Hz; what lies above {SPEECH_RATE // 2:,} Hz is left out"
        return SPEECH_RATE, why
    lowest = 2_000  # below, the filters of low mels hold no point of the transform
    return max(common, lowest), f"most recordings have {common:,} Hz"


def choose_seconds(durations: np.ndarray, *, rate: int, limit: int | None, options: AudioOptions) -> tuple[float, str]:
    """The longest stretch and the sentence that says why.

    Args:
        durations: Of the training recordings, s.
        rate: Hz.
        limit: Most positions the trunk reads.
        options: `seconds` and `max_length` are read.
    """
    covered = float(np.quantile(durations, COVERED, method="higher"))
    share = f"{COVERED:.0%}".replace("%", " %")
    if options.seconds != "auto":
        seconds, why = float(options.seconds), "asked for"
    elif options.max_length != "auto":
        seconds, why = position_seconds(options.max_length, rate), f"{options.max_length} positions were asked for"
    else:
        seconds = min(LONGEST_AUTO, max(0.1, -(-covered // 0.1) * 0.1))
        why = f"{share} of the recordings last at most {covered:.1f} s"
        if covered > LONGEST_AUTO:
            why += f"; more than {LONGEST_AUTO:g} s is read of none (model.read.audio.seconds sets it)"
    if limit is not None and seconds > (most := position_seconds(limit, rate)):
        seconds, why = most, f"{why}; the trunk reads at most {limit} positions"
    return round(min(seconds, MOST_SECONDS), 3), why


def choose_front_seconds(durations: np.ndarray, *, front: Front, options: AudioOptions) -> tuple[float, str]:
    """The longest stretch under a front, and the sentence that says why.

    Where a front reads any length, the stretch is one of whole positions: asking for so many gives it again.

    Args:
        durations: Of the training recordings, s.
        front: What the trunk reads.
        options: `seconds` and `max_length` are read.
    """
    asked = None if options.seconds == "auto" else float(options.seconds)
    if front.seconds is not None:
        why = f"the trunk reads {front.seconds:.2f} s" if asked is None else "asked for"
        return min(front.seconds, asked or front.seconds), why
    if asked is not None:
        return asked, "asked for"
    if options.max_length != "auto":
        positions, why = options.max_length, f"{options.max_length} positions were asked for"
    else:
        covered = min(LONGEST_AUTO, float(np.quantile(durations, COVERED, method="higher")))
        positions = front.positions(round(covered * front.rate))
        why = f"{COVERED * 100:.0f} % of the recordings last at most so long; more than {LONGEST_AUTO:g} s is not read"
    return min(front.samples(positions) / front.rate, MOST_SECONDS), why


def position_seconds(positions: int, rate: int) -> float:
    """The longest stretch that takes so many positions, rounded down to a millisecond."""
    return int(1000 * Filterbank(rate, 1).samples(positions * STRIDE) / rate) / 1000


def mel_statistics(
    values: Iterable[Any], *, rate: int, seconds: float, options: AudioOptions
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Mean and spread of every mel over all frames, `[M]` each, added up recording by recording; and how loud they are.

    Silence is left out: its floor would stand for the signal.
    """
    bank = Filterbank(rate, options.mels)
    count, total, squares, heard, silent = 0, np.zeros(options.mels), np.zeros(options.mels), 0, 0
    for value in values:
        try:
            pieces = read(value, rate=rate, seconds=seconds, rule=options.long, windows=options.windows)
        except RowError:
            continue
        heard += 1
        if max(float(np.abs(piece).max(initial=0.0)) for piece in pieces) < SILENT_PEAK:
            silent += 1
            continue
        for piece in pieces:
            frames = bank.log_mel(piece).astype(np.float64)
            count, total, squares = count + len(frames), total + frames.sum(0), squares + np.square(frames).sum(0)
    if not count:
        return np.full(options.mels, np.log(FLOOR)), np.ones(options.mels), {"silent": 1.0, "measured": heard}
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), STD_FLOOR**2))
    return mean, std, {"silent": silent / heard, "measured": heard}


def warnings(facts: Mapping[str, Any]) -> list[str]:
    """Sentences for the person who gave these recordings."""
    found = []
    if facts["silent"] > 0.05:
        found.append(f"{facts['silent']:.0%} of the recordings are silent".replace("%", " %"))
    if facts["cut"] > 0.05:
        kept = {"centre": "the middle", "head": "the beginning", "windows": "several stretches"}[facts["long"]]
        share = f"{facts['cut']:.0%}".replace("%", " %")
        found.append(f"{share} of the recordings are longer than {facts['seconds']:g} s; {kept} of each is read")
    if len(facts["rates"]) > 1 and int(min(facts["rates"], key=int)) < facts["rate"]:
        low = min(facts["rates"], key=int)
        found.append(
            f"some recordings have {int(low):,} Hz, the model reads {facts['rate']:,}: if the rate goes with the "
            "label, it will learn the rate"
        )
    return found


def _sizes(durations: np.ndarray, rates: Mapping[int | None, int], rate: int) -> str:
    """A clause for people."""
    least, middle, most = (f"{float(seconds):.3g}" for seconds in np.quantile(durations, [0.0, 0.5, 1.0]))
    lasting = f"{most} s" if least == most else f"{least} to {most} s, half of them up to {middle} s"
    hertz = " and ".join(f"{one:,}" for one in sorted({own or rate for own in rates}))
    return f"recordings of {lasting}, in {hertz} Hz"


def check_learned(learned: Mapping[str, Any], *, options: AudioOptions, limit: int | None) -> None:
    """Hold what a file says was learned against what `fit_audio` could have learned.

    Raises:
        ValueError: It could not.
    """
    wanted = {"rate", "seconds", "rows", "mean", "std", "typical_seconds", "facts"}
    if set(learned) != wanted:
        raise ValueError(f"learned holds {sorted(learned)}, not {sorted(wanted)}")
    rate, seconds, typical = learned["rate"], learned["seconds"], learned["typical_seconds"]
    if type(rate) is not int or not 1_000 <= rate <= 48_000 or type(learned["rows"]) is not int:
        raise ValueError(f"rate is {rate!r}, rows {learned['rows']!r}")
    if not all(isinstance(one, int | float) and 0 < one < 1e9 for one in (seconds, typical)) or seconds > MOST_SECONDS:
        raise ValueError(f"seconds is {seconds!r}, typical_seconds {typical!r}")
    for name in ("mean", "std"):
        numbers = learned[name]
        if not (isinstance(numbers, list) and len(numbers) == options.mels):
            raise ValueError(f"{name} has no {options.mels} numbers")
        if not all(type(one) in (int, float) and abs(one) < 1e3 for one in numbers):
            raise ValueError(f"{name} holds what is no level of a mel")
    if min(learned["std"]) <= 0 or not isinstance(learned["facts"], dict):
        raise ValueError("std is not above 0, or facts is no mapping")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(f"limit is {limit!r}")
