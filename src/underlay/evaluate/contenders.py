"""Candidates for the place of a model: what each loses, how large and how slow it is, which targets it holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from underlay.evaluate.interval import Interval


@dataclass(frozen=True)
class Targets:
    """What is asked of a smaller model.

    Args:
        points: Of each target's key metric that may be lost at most.
        ms: One row alone may take at the median; None: any time.
        megabytes: Its files may have, of a million bytes each; None: any size.
    """

    points: float
    ms: float | None = None
    megabytes: float | None = None


@dataclass(frozen=True)
class Lost:
    """What one target lost, on validation rows.

    Args:
        target: Its name.
        metric: Its key metric.
        value: Of the candidate.
        low: Lower end of its 95 % interval: the original's figure, less what is lost at most.
        high: Upper end.
        points: Lost; below 0 it is better.
        least: Lower end of their interval, the same rows drawn for both models.
        most: Upper end.
    """

    target: str
    metric: str
    value: float
    low: float
    high: float
    points: float
    least: float
    most: float

    @property
    def interval(self) -> Interval:
        """Of the figure."""
        return Interval(self.value, self.low, self.high)


@dataclass(frozen=True)
class Contender:
    """One candidate.

    Args:
        name: The steps that make it.
        lost: By target; empty where it was not measured.
        bytes: Of all its files.
        one_p50: Median of one row alone, raw value to decision, ms.
        one_p99: 99th percentile.
        rows_per_second: In a batch.
        original_p50: Of the original, timed in turns with it.
        why: Why it was not measured; empty where it was.
    """

    name: str
    lost: tuple[Lost, ...] = ()
    bytes: int = 0
    one_p50: float = 0.0
    one_p99: float = 0.0
    rows_per_second: float = 0.0
    original_p50: float = 0.0
    why: str = ""

    @property
    def measured(self) -> bool:
        """Whether there are figures."""
        return bool(self.lost) and not self.why

    @property
    def points(self) -> float:
        """Lost by the worst target; not below what every target gained."""
        return max((one.points for one in self.lost), default=float("nan"))

    @property
    def megabytes(self) -> float:
        """Of a million bytes."""
        return self.bytes / 1e6

    def misses(self, targets: Targets) -> tuple[str, ...]:
        """What is wrong with it, in words; empty where it holds all targets.

        >>> lost = (Lost("label", "accuracy", 0.88, 0.86, 0.9, points=0.2, least=-1.0, most=1.4),)
        >>> Contender("int8", lost, 12_000_000, one_p50=3.0).misses(Targets(0.5, ms=5, megabytes=10))
        ('too large',)
        """
        if not self.measured:
            return ("not measured",)
        wrong = {
            "loses too much": not all(one.points <= targets.points for one in self.lost),
            "too large": targets.megabytes is not None and not self.megabytes <= targets.megabytes,
            "too slow": targets.ms is not None and not self.one_p50 <= targets.ms,
        }
        return tuple(word for word, holds in wrong.items() if holds)

    def verdict(self, targets: Targets) -> str:
        """`holds all targets`, or what is wrong."""
        return ", ".join(self.misses(targets)) or "holds all targets"

    def distance(self, targets: Targets) -> float:
        """How far it misses the target that it misses by most, as a share of that; 0: it holds all.

        A point of quality counts as a tenth of the size or the time.
        """
        over = [0.0, (self.points - targets.points) / 10]
        over += [] if targets.ms is None else [self.one_p50 / targets.ms - 1]
        over += [] if targets.megabytes is None else [self.megabytes / targets.megabytes - 1]
        return max(over)


@dataclass(frozen=True)
class Search:
    """All that was tried for a smaller model.

    Args:
        targets: Asked for.
        rows: Validation rows on which losses were measured.
        original: The model that it started from.
        contenders: In the order in which they were tried.
        chosen: Name of the one that was taken.
        words: The recommendation, a sentence each.
    """

    targets: Targets
    rows: int
    original: Contender
    contenders: tuple[Contender, ...]
    chosen: str = ""
    words: tuple[str, ...] = field(default=())

    @property
    def measured(self) -> tuple[Contender, ...]:
        """Those that have figures, the original first."""
        return (self.original, *(one for one in self.contenders if one.measured))


def front(contenders: Sequence[Contender], *, cost: str, target: str | None = None) -> list[Contender]:
    """Those that no other one beats in quality without costing as much, the cheapest first.

    Args:
        contenders: Measured.
        cost: `one_p50` or `bytes`.
        target: Whose quality; None: of the worst.

    >>> made = [
    ...     Contender(name, (Lost("y", "accuracy", 0.9, 0.8, 1.0, lost, 0, 0),), size)
    ...     for name, lost, size in [("a", 1.0, 10), ("b", 2.0, 20), ("c", 0.0, 30)]
    ... ]
    >>> [one.name for one in front(made, cost="bytes")]
    ['a', 'c']
    """

    def lost(one: Contender) -> float:
        return max(each.points for each in one.lost if target in (None, each.target))

    found: list[Contender] = []
    for one in sorted(contenders, key=lambda each: (getattr(each, cost), lost(each))):
        if not found or lost(one) < lost(found[-1]):
            found.append(one)
    return found
