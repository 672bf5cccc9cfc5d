"""What a table column learns: whether it holds numbers or categories, how its numbers lie, which categories matter."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from underlay.core import DataError
from underlay.modalities.table_cell import CATEGORY, DAY, KINDS, NUMBER, category_of, day_of, is_missing, is_scalar
from underlay.modalities.table_cell import number_of as number_in
from underlay.modalities.table_options import TableOptions
from underlay.modalities.text_fit import reservoir

SAMPLE = 200_000
"""Cells that are looked at, drawn at random: quantiles and shares change no more beyond them."""

MOSTLY = 0.9
"""Share of the cells that must be numbers (or dates) for the column to be one of them; the others' rows are told."""

KNOTS = 256
"""Places at which the scale is known; between two of them it is straight."""

LARGEST = 1e150
"""Of larger numbers not even the squares are finite."""

ENDS = 1e-3
"""Ranks below and above which the scale goes no further out: 3.1 standard deviations."""

FEW = 500
"""Among fewer cells a category counts from its second row, among more from its fifth: one row teaches its noise."""


@dataclass(frozen=True)
class Scale:
    """A strictly rising map of numbers to normal scores, straight between its knots and level outside.

    Ranks decide it, so no outlier, unit or skew does; few distinct values keep their distances in rank.

    Args:
        knots: Numbers, rising.
        scores: Of each, rising, about -3 to 3.

    >>> float(Scale.of([1.0, 2.0, 1000.0])(2.0))
    0.0
    """

    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Scale":
        """The scale of a sample; numbers beyond 1e150 are left out.

        Knots lie at equal distances of score, closest together in rank where numbers are rare. Beyond the outermost
        ranks every number has the score of the innermost of them, so that no outlier stretches the last piece.

        Source: Gorishniy et al., Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021, section 4.2: the
        quantile transformation to a normal distribution.
        """
        found = np.asarray(numbers, np.float64)
        values, counts = np.unique(found[np.abs(found) < LARGEST], return_counts=True)
        if not len(values):
            return cls((0.0,), (0.0,))
        ranks = (np.cumsum(counts) - counts / 2) / counts.sum()  # of equal numbers, the middle
        chosen = np.arange(len(values))
        if len(values) > KNOTS:
            ends = NormalDist().inv_cdf(1 - ENDS)
            wanted = [NormalDist().cdf(score) for score in np.linspace(-ends, ends, KNOTS)]
            chosen = np.unique(np.searchsorted(ranks, wanted).clip(0, len(values) - 1))
        scores = np.array([NormalDist().inv_cdf(float(rank)) for rank in ranks[chosen].clip(ENDS, 1 - ENDS)])
        first, last = int((scores == scores[0]).sum()) - 1, len(scores) - int((scores == scores[-1]).sum())
        return cls(tuple(values[chosen][first : last + 1].tolist()), tuple(scores[first : last + 1].tolist()))

    def __call__(self, numbers: Any) -> np.ndarray:
        """Scores of numbers, float64 of their shape."""
        return np.asarray(np.interp(numbers, self.knots, self.scores))

    def number(self, rank: float) -> float:
        """The number at a rank of 0 to 1.

        >>> Scale.of([1.0, 2.0, 3.0]).number(0.5)
        2.0
        """
        score = NormalDist().inv_cdf(min(max(rank, ENDS), 1 - ENDS))
        return float(np.interp(score, self.scores, self.knots))

    @property
    def spread(self) -> float:
        """The distance between the quartiles; that of the ends where it is 0, 1 where that is 0 too."""
        return self.number(0.75) - self.number(0.25) or self.knots[-1] - self.knots[0] or 1.0

    def edges(self, bins: int) -> list[float]:
        """The bounds of at most `bins` equally frequent bins, as scores, rising."""
        if len(self.scores) < 2:
            return [-1.0, 1.0]
        wanted = self(
            [self.number(rank) for rank in np.linspace(0, 1, bins + 1)] if len(self.knots) > bins + 1 else self.knots
        )
        return [float(edge) for edge in np.unique(np.round(wanted, 6))]


@dataclass(frozen=True)
class Learned:
    """What `fit` found.

    Args:
        kind: `number`, `date` or `category`; empty before `fit`.
        scale: Of numbers and dates.
        whole: All numbers were whole.
        ends: The least and the largest number.
        categories: Known ones, the most frequent first.
        missing: Share of the cells that say nothing.
        other: Share of the cells whose category is too rare.
        strange: Share of the cells that are not of the kind.
        rows: Cells read.
    """

    kind: str = ""
    scale: Scale = field(default_factory=Scale)
    whole: bool = False
    ends: tuple[float, float] = (0.0, 0.0)
    categories: tuple[str, ...] = ()
    missing: float = 0.0
    other: float = 0.0
    strange: float = 0.0
    rows: int = 0


def fit_table(values: Iterable[Any], rng: np.random.Generator, *, options: TableOptions) -> Learned:
    """Look at the training cells of one column.

    Args:
        values: Raw cells, read once.
        rng: Draws the sample that is looked at.
        options: What the recipe says.

    Raises:
        DataError: No cell says anything.
    """
    sample, rows = reservoir(values, SAMPLE, rng)
    said = [value for value in sample if not is_missing(value)]
    scalars = [value for value in said if is_scalar(value)]
    if not scalars:
        raise DataError("no row holds a number or a category", "name another column", code="no_cell")
    kind = kind_of(scalars) if options.kind == "auto" else options.kind
    missing = 1 - len(said) / len(sample)
    if kind == CATEGORY:
        counts = Counter(category_of(value) for value in scalars)
        least = options.rare or (2 if len(scalars) < FEW else 5)
        known = [name for name, count in counts.most_common(options.categories) if count >= least]
        other = 1 - sum(counts[name] for name in known) / len(scalars)
        ordered = tuple(sorted(known, key=lambda name: (-counts[name], name)))
        strange = 1 - len(scalars) / len(said)
        return Learned(kind, categories=ordered, missing=missing, other=other, strange=strange, rows=rows)
    read = day_of if kind == DAY else number_in
    numbers = [number for value in scalars if (number := read(value)) is not None]
    if not numbers:
        raise DataError(f"no row holds a {kind}", "name another column, or read it otherwise", code="no_cell")
    whole = all(math.isinf(number) or number.is_integer() for number in numbers)
    strange = 1 - len(numbers) / len(said)
    ends = (max(min(numbers), -LARGEST), min(max(numbers), LARGEST))
    return Learned(kind, Scale.of(numbers), whole, ends, missing=missing, strange=strange, rows=rows)


def kind_of(values: Sequence[Any]) -> str:
    """What most of these cells are.

    >>> kind_of(["1", "2.5", True]), kind_of(["2024-01-31"]), kind_of(["red", "blue", "3"])
    ('number', 'date', 'category')
    """
    for kind, read in ((NUMBER, number_in), (DAY, day_of)):
        if sum(read(value) is not None for value in values) >= MOSTLY * len(values):
            return kind
    return CATEGORY


def warnings(learned: Learned) -> list[str]:
    """Sentences for the person who chose this column."""
    found = []
    if learned.kind == CATEGORY and not learned.categories:
        found.append("no category repeats, so there is nothing to learn from it; is it a text or a key?")
    elif learned.other > 0.5:
        found.append(f"{learned.other:.0%} of its cells are rare categories, read as one".replace("%", " %"))
    alone = len(learned.scale.knots) == 1 if learned.kind != CATEGORY else len(learned.categories) == 1
    if alone and not learned.other:
        found.append("it holds one value only")
    if learned.strange > 0:
        share = f"{learned.strange:.1%}".replace("%", " %")
        found.append(f"{share} of its cells are no {learned.kind}; rows with them cannot be used")
    return found


def check_learned(learned: Learned) -> None:
    """Hold what a file says was learned against what `fit_table` could have learned.

    Raises:
        ValueError: It could not.
    """
    knots, scores = np.asarray(learned.scale.knots, np.float64), np.asarray(learned.scale.scores, np.float64)
    rising = all((np.abs(side) < LARGEST).all() and (np.diff(side) > 0).all() for side in (knots, scores))
    if learned.kind not in KINDS:
        raise ValueError(f"kind is {learned.kind!r}")
    if learned.kind != CATEGORY and not (len(knots) == len(scores) >= 1 and rising):
        raise ValueError("the scale does not rise")
    if not -LARGEST <= learned.ends[0] <= learned.ends[1] <= LARGEST:
        raise ValueError(f"the ends are {learned.ends}")
    names: tuple[Any, ...] = learned.categories
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError("categories are no distinct strings")
    shares = (learned.missing, learned.other, learned.strange)
    if not all(0 <= share <= 1 for share in shares) or type(learned.rows) is not int or type(learned.whole) is not bool:
        raise ValueError(f"shares are {shares}, rows {learned.rows!r}, whole {learned.whole!r}")
