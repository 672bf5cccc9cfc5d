"""What the records say: means with t-intervals, and differences paired by seed; nothing from an incomplete set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t

from studies.language_as_foundation.cells import FINAL, SEEDS, Record, digest
from studies.language_as_foundation.tasks import Task


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % t-interval.

    Args:
        middle: The mean.
        half: Half of the interval's width.
    """

    middle: float
    half: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, else 0."""
        return 0 if abs(self.middle) <= self.half else (1 if self.middle > 0 else -1)


@dataclass(frozen=True)
class Difference:
    """One paired comparison.

    Args:
        question: Number in the plan.
        plus: The arm.
        minus: What is taken away.
    """

    question: int
    plus: str
    minus: str


QUESTIONS: Mapping[int, str] = {
    1: "Does the structure of the weights matter, or only their scale?",
    2: "Does their scale matter?",
    3: "Is a frozen trunk more than a random projection?",
    4: "Would anyone use it?",
}

DIFFERENCES = (
    Difference(1, "language-frozen", "shuffled-frozen"),
    Difference(1, "language-full", "shuffled-full"),
    Difference(2, "shuffled-frozen", "random-frozen"),
    Difference(2, "shuffled-full", "random-full"),
    Difference(3, "language-frozen", "no-trunk"),
    Difference(4, "language-frozen", "native-classical"),
    Difference(4, "language-full", "native-classical"),
    Difference(4, "language-frozen", "native-trunk"),
    Difference(4, "language-full", "native-trunk"),
)
INTERVALS = 3 * len(DIFFERENCES)
"""Of a task: every difference at three sizes."""

Accuracies = Mapping[tuple[str, int], Mapping[int, float]]
"""By arm and size: test accuracy by seed."""


def interval(values: Sequence[float]) -> Interval:
    """Mean and half-width over two or more values.

    >>> interval([0.0, 1.0, 2.0]).middle, round(interval([0.0, 1.0, 2.0]).half, 3)
    (1.0, 2.484)
    """
    return Interval(mean(values), float(t.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values)))


def accuracies(task: Task, records: Sequence[Record]) -> Accuracies:
    """Test accuracy of every final run under the present settings; of a cell made twice, the newest."""
    settings, found = digest(task), dict[tuple[str, int], dict[int, float]]()
    for record in records:
        cell = record["cell"]
        if (cell["stage"], cell["settings"]) == (FINAL, settings):
            found.setdefault((cell["arm"], cell["size"]), {})[cell["seed"]] = record["values"]["test_accuracy"]
    return found


def level(found: Accuracies, arm: str, size: int) -> Interval | None:
    """Accuracy of an arm at a size; None unless all seeds are in."""
    seeds = found.get((arm, size), {})
    return interval([seeds[seed] for seed in SEEDS]) if set(seeds) >= set(SEEDS) else None


def paired(found: Accuracies, difference: Difference, size: int) -> Interval | None:
    """The difference by seed at a size; None unless all seeds of both are in."""
    plus, minus = (found.get((arm, size), {}) for arm in (difference.plus, difference.minus))
    if not set(plus) & set(minus) >= set(SEEDS):
        return None
    return interval([plus[seed] - minus[seed] for seed in SEEDS])


def verdict(sizes: Sequence[int], intervals: Sequence[Interval | None]) -> str:
    """What the plan's rule says of one difference.

    >>> verdict([250, 1000], [Interval(0.02, 0.01), Interval(0.03, 0.01)])
    'found: more'
    >>> verdict([250, 1000], [Interval(0.02, 0.01), None])
    'runs are missing'
    """
    known = [one for one in intervals if one is not None]
    if len(known) < len(intervals):
        return "runs are missing"
    signs = {one.sign for one in known}
    if signs in ({1}, {-1}):
        return f"found: {'more' if signs == {1} else 'less'}"
    at = [
        f"{size:,} ({'more' if one.sign > 0 else 'less'})" for size, one in zip(sizes, known, strict=True) if one.sign
    ]
    return f"not found; excludes 0 at {', '.join(at)} alone" if at else "not found"
