"""Cells damaged as sensors, clerks and exports damage them, and cells that could stand in their place."""

from typing import Any

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.table_cell import CATEGORY, DAY, category_of, day_of, is_missing, number_of, written_day
from underlay.modalities.table_fit import Learned

KINDS = ("missing", "noise", "shift")
"""A cell left empty, a number measured badly or a category mistaken, a whole column that drifted."""

RATES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Chance of a damage, or its size in distances between the quartiles, at severity 1 to 5."""

JITTER = 0.02
"""Of the distance between the quartiles: what a number may move and still mean the same."""

RANKS = (0.05, 0.25, 0.5, 0.75, 0.95)
SHOWN = 8
"""Categories offered in place of another."""


def corrupt(value: Any, learned: Learned, kind: str, severity: int, rng: np.random.Generator) -> Any:
    """The cell with one kind of damage; what says nothing, or nothing readable, stays as it is.

    Raises:
        UnknownName: `kind` is none of `KINDS`.
        UsageError: `severity` is not 1 to 5.
    """
    if kind not in KINDS:
        raise UnknownName("kind of table damage", kind, KINDS)
    if not 1 <= severity <= len(RATES):
        raise UsageError(f"severity is {severity}", "give 1 (slight) to 5")
    rate = RATES[severity - 1]
    if kind == "missing":
        return None if rng.random() < rate else value
    if learned.kind == CATEGORY:
        others = others_than(value, learned)
        hit = rng.random() < rate and not is_missing(value)
        return others[int(rng.integers(len(others))) if kind == "noise" else 0] if hit and others else value
    return moved(value, learned, rate * (float(rng.normal()) if kind == "noise" else 1.0))


def augment(value: Any, learned: Learned, rng: np.random.Generator) -> Any:
    """A number moved a little; dates and categories stay, for another one means something else."""
    return moved(value, learned, JITTER * float(rng.normal())) if learned.kind == "number" else value


def moved(value: Any, learned: Learned, distance: float) -> Any:
    """The number or date moved by so many distances between the quartiles."""
    number = None if is_missing(value) else (day_of if learned.kind == DAY else number_of)(value)
    if number is None or not np.isfinite(number):
        return value
    return written(number + distance * learned.scale.spread, learned)


def substitutes(value: Any, learned: Learned) -> tuple[Any, ...]:
    """Other cells of the same column: its quantiles, or its most frequent categories."""
    if learned.kind == CATEGORY:
        return others_than(value, learned)[:SHOWN]
    found = dict.fromkeys(written(learned.scale.number(rank), learned) for rank in RANKS)
    return tuple(other for other in found if other != value)


def others_than(value: Any, learned: Learned) -> tuple[str, ...]:
    """The known categories but this one."""
    own = category_of(value) if value is not None else None
    return tuple(name for name in learned.categories if name != own)


def drawn(learned: Learned, rng: np.random.Generator) -> Any:
    """A cell that could have been: now and then empty or of no known category, else from what is common."""
    if rng.random() < max(0.03, learned.missing):
        return None
    if learned.kind != CATEGORY:
        return written(learned.scale.number(float(rng.random())), learned)
    if not learned.categories or rng.random() < max(0.03, learned.other):
        return "another category"
    return learned.categories[int(rng.integers(len(learned.categories)))]


def written(number: float, learned: Learned) -> Any:
    """A number as this column writes it: a date, a whole number, or six digits."""
    if learned.kind == DAY:
        return written_day(round(number) if learned.whole else number)
    if learned.whole:
        return round(number)
    return float(f"{number:.6g}")
