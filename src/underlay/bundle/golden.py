"""Synthetic rows with the answers they had when the bundle was sealed, replayed at every hand-over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.bundle.bundle import Answers, Bundle
from underlay.bundle.layout import GOLDEN
from underlay.bundle.machine import machine_fingerprint
from underlay.bundle.ranked import likeliest
from underlay.bundle.strict_json import dump_line, parse
from underlay.core import BundleRefused, Target, UnderlayError, is_ragged, stream

LEAST = 8
DOUBTFUL = 8
"""Probes near a decision: a small change of the model shows in their scores."""

ORDINARY = 16
"""Probes as they came: among so many, every common kind of input occurs."""

PROBES = 96
"""Candidates at least; a rare label gets more."""

MOST_PROBES = 1_024
SAME_MACHINE = 1e-5
OTHER_MACHINE = 1e-3


@dataclass(frozen=True)
class Replay:
    """How the golden rows were answered this time.

    Args:
        rows: How many.
        difference: The largest change of a score.
        tolerance: What is allowed here.
        same_machine: Whether they were sealed on this kind of machine.
    """

    rows: int
    difference: float
    tolerance: float
    same_machine: bool


def make_golden(bundle: Bundle, *, seed: int) -> bytes:
    """The `golden.jsonl` of a bundle: a header, then a probe and its answer a line.

    Args:
        bundle: What answers.
        seed: Decides the probes.

    Raises:
        BundleRefused: The bundle cannot answer its own probes.
    """
    rng = stream(seed, "golden")
    labels = sum(len(target.labels) for target in bundle.schema.targets if not target.ranked)
    wanted = min(max(PROBES, 8 * labels), MOST_PROBES)
    drawn = [_probe(bundle, rng) for _ in range(wanted)]
    # A set of probes would lose their order; a dict keeps it and drops doubles.
    probes = list({repr(probe): probe for probe in drawn}.values())
    probes += drawn[: LEAST - len(probes)] if len(probes) < LEAST else []  # a column of two categories has few
    answers = _answer(bundle, probes)
    chosen = _choose(bundle, probes, answers)
    header = {"machine": machine_fingerprint(), "unreached": _unreached(bundle, answers, chosen)}
    header["tolerance"] = {"same": SAME_MACHINE, "other": OTHER_MACHINE}
    kept = _answer(bundle, [probes[i] for i in chosen])
    rows = [
        {"inputs": probes[i], "scores": _scores(bundle, kept, place), "decisions": _decisions(kept, place)}
        for place, i in enumerate(chosen)
    ]
    return b"".join(dump_line(line) for line in [header, *rows])


def replay(bundle: Bundle, data: bytes) -> Replay:
    """Answer the golden rows again and compare.

    Args:
        bundle: What answers.
        data: `golden.jsonl`.

    Raises:
        BundleRefused: `golden`: too few rows, a score moved further than allowed, or a decision changed.
    """
    try:
        return _replay(bundle, data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _refused(f"{GOLDEN} does not hold what it should: {error!r:.120}") from error


def _replay(bundle: Bundle, data: bytes) -> Replay:
    header, rows = _parse(data)
    same = header["machine"] == machine_fingerprint()
    tolerance = float(header["tolerance"]["same" if same else "other"])
    answers = _answer(bundle, [row["inputs"] for row in rows])
    largest = 0.0
    for place, row in enumerate(rows):
        largest = max(largest, _compare(bundle, answers, place, row, tolerance))
    return Replay(len(rows), largest, tolerance, same)


def _compare(bundle: Bundle, answers: Answers, place: int, row: Mapping[str, Any], tolerance: float) -> float:
    """The largest difference of one row's scores."""
    largest = 0.0
    for target, now in _scores(bundle, answers, place).items():
        expected = np.asarray(row["scores"].get(target, []), dtype=np.float64)
        found = np.asarray(now, dtype=np.float64)
        if expected.shape != found.shape:
            raise _refused(f"golden row {place + 1} has {expected.size} scores for {target!r}, the model {found.size}")
        moved = float(np.abs(expected - found).max(initial=0.0))
        if not moved <= tolerance * max(1.0, float(np.abs(expected).max(initial=0.0))):
            raise _refused(f"golden row {place + 1} is answered otherwise: a score of {target!r} moved by {moved:.1e}")
        # A decision on the edge may fall to either side within the tolerance of its scores.
        margin = float(bundle.rules[target].margin(answers.probabilities[target][place : place + 1])[0])
        decided = _decisions(answers, place)[target]
        if margin > 2 * tolerance and bundle.rules[target].target.labels and decided != row["decisions"].get(target):
            raise _refused(
                f"golden row {place + 1} is decided otherwise: {target!r} is {decided!r}, "
                f"it was {row['decisions'].get(target)!r}"
            )
        largest = max(largest, moved)
    return largest


def _parse(data: bytes) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    lines = [parse(line, GOLDEN) for line in data.splitlines()]
    header, rows = (lines[0], lines[1:]) if lines else ({}, [])
    whole = isinstance(header, dict) and set(header) == {"machine", "unreached", "tolerance"}
    if not whole or not all(isinstance(row, dict) and set(row) == {"inputs", "scores", "decisions"} for row in rows):
        raise _refused(f"{GOLDEN} does not hold what it should")
    loosest = {"same": SAME_MACHINE, "other": OTHER_MACHINE}
    if any(not 0 <= header["tolerance"].get(key, 1.0) <= most for key, most in loosest.items()):
        raise _refused(f"{GOLDEN} asks for the tolerance {header['tolerance']}; the loosest are {loosest}")
    if len(rows) < LEAST:
        raise _refused(f"{GOLDEN} has {len(rows)} rows; it needs {LEAST}")
    return header, rows


def _answer(bundle: Bundle, probes: Sequence[Mapping[str, Any]]) -> Answers:
    columns = [column.name for column in bundle.schema.columns]
    try:
        answers = bundle.answer({name: [probe[name] for probe in probes] for name in columns})
    except BundleRefused:
        raise
    except (UnderlayError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _refused(f"the bundle cannot answer its own golden rows: {error}") from error
    if answers.problems or not all(map(_finite, answers.logits.values())):
        raise _refused("the bundle cannot answer its own golden rows: a score is missing or not finite")
    return answers


def _finite(logits: np.ndarray) -> bool:
    """Whether every row has its scores; of units, those that were not cut."""
    if is_ragged(logits):
        return all(bool(np.isfinite(row).all(-1).any()) for row in logits)
    return bool(np.isfinite(logits).all())


def _probe(bundle: Bundle, rng: np.random.Generator) -> dict[str, Any]:
    return {name: modality.probe(rng) for name, modality in bundle.modalities.items()}


def _choose(bundle: Bundle, probes: Sequence[Mapping[str, Any]], answers: Answers) -> list[int]:
    """One probe for every label that was reached, the longest, the least sure, and some as they came."""
    clear = np.ones(len(probes), dtype=bool)
    for target in bundle.schema.targets:
        clear &= bundle.rules[target.name].margin(answers.probabilities[target.name]) > 4 * OTHER_MACHINE
    chosen = dict.fromkeys(place for place, _ in _reached(bundle, answers, clear).values())
    chosen[max(range(len(probes)), key=lambda i: len(repr(probes[i])))] = None
    doubt = np.sum([np.nan_to_num(values) for values in answers.confidence.values()], axis=0)
    surest_last = [int(place) for place in np.lexsort((doubt, ~clear))]
    return list(chosen | dict.fromkeys(surest_last[:DOUBTFUL]) | dict.fromkeys(range(min(ORDINARY, len(probes)))))


def _reached(bundle: Bundle, answers: Answers, clear: np.ndarray) -> dict[tuple[str, str], tuple[int, float]]:
    """By target and label: the probe that was given it most surely, clear ones first."""
    best: dict[tuple[str, str], tuple[int, float]] = {}
    for target in bundle.schema.targets:
        confidence = answers.confidence[target.name]
        for place, decision in enumerate(answers.predictions[target.name]):
            sure = float(confidence[place]) + bool(clear[place])
            for label in _names(decision):
                if sure > best.get((target.name, label), (0, -1.0))[1]:
                    best[target.name, label] = (place, sure)
    return best


def _names(decision: Any) -> Iterator[str]:
    if isinstance(decision, str):
        yield decision
    elif isinstance(decision, tuple):
        yield from (label for label in decision if label is not None)


def _unreached(bundle: Bundle, answers: Answers, chosen: Sequence[int]) -> dict[str, list[str]]:
    found = {}
    for target in bundle.schema.targets:
        seen = {label for place in chosen for label in _names(answers.predictions[target.name][place])}
        found[target.name] = [label for label in target.labels if label not in seen and not target.ranked]
    return found


def _scores(bundle: Bundle, answers: Answers, place: int) -> dict[str, list[float]]:
    """Probabilities, by unit those of what was decided; logits of the first labels of a ranking, and of numbers."""
    return {target.name: _scores_of(target, answers, place) for target in bundle.schema.targets}


def _scores_of(target: Target, answers: Answers, place: int) -> list[float]:
    values = (answers.probabilities if target.labels else answers.logits)[target.name][place]
    if target.by_unit:  # all K of a hundred words would make the file large
        values = values[np.isfinite(values).all(-1)].max(-1)
    if target.ranked:
        values = np.sort(answers.logits[target.name][place][likeliest(values[None])[0]])[::-1]
    return [float(value) for value in values]


def _decisions(answers: Answers, place: int) -> dict[str, Any]:
    decided = {name: values[place] for name, values in answers.predictions.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in decided.items()}


def _refused(what: str) -> BundleRefused:
    return BundleRefused(what, "do not use this bundle; restore it or train again", code="golden")
