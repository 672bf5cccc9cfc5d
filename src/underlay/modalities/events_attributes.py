"""What is known of events besides their items: categories and numbers, each as one of a few codes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.modalities.events_cell import Happening

MOST_ATTRIBUTES = 16
"""Attributes that are read, those of the most events."""

MOST_CATEGORIES = 1_000
"""Of one attribute, the most frequent ones."""

BINS = 16
"""Of a number: equally many training events in each."""

FEW = 20
"""Numbers of so few values are categories: star ratings, months."""

KEPT = 50_000
"""Numbers that quantiles are taken from."""

SHARE = 0.5
"""An attribute is read where more than this share of the training events has it."""

OTHER = 1
"""Code of a category that was not learned; 0 is the code of an attribute that is not there."""


@dataclass(frozen=True)
class Attribute:
    """How one attribute becomes a code: 0 missing, 1 another value, 2 and above what was learned.

    Args:
        name: Its key.
        categories: Names, the most frequent first; empty for a number.
        edges: Between the bins of a number; empty for categories.
    """

    name: str
    categories: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Codes there are."""
        return 2 + (len(self.categories) or len(self.edges) + 1)

    def code(self, value: Any) -> int:
        """The code of a value.

        >>> Attribute("shop", categories=("north", "south")).code("south")
        3
        """
        if value is None or value != value:
            return 0
        if self.edges:
            number = _number(value)
            return OTHER if number is None else 2 + int(np.searchsorted(self.edges, number, side="right"))
        name = _category(value)
        return 2 + self.categories.index(name) if name in self.categories else OTHER

    def plain(self) -> dict[str, Any]:
        """JSON data."""
        return {"name": self.name, "categories": list(self.categories), "edges": list(self.edges)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Attribute":
        """Read back what `plain` gave.

        Raises:
            ValueError: It is something else.
        """
        found = cls(str(data["name"]), tuple(data["categories"]), tuple(float(one) for one in data["edges"]))
        if found.plain() != dict(data) or (found.categories and found.edges) or not np.isfinite(found.edges).all():
            raise ValueError(f"the attribute {found.name!r} is neither categories nor a number")
        if not all(isinstance(name, str) for name in found.categories) or list(found.edges) != sorted(found.edges):
            raise ValueError(f"the attribute {found.name!r} has names that are none, or edges out of order")
        return found


@dataclass
class AttributeSurvey:
    """One pass over the attributes of training events."""

    events: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)

    def add(self, events: Iterable[Happening]) -> None:
        """Count the events of one row in."""
        for event in events:
            self.events += 1
            for name, value in event.attributes.items():
                self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        if value != value:
            return
        self.seen[name] += 1
        counts = self.values.setdefault(name, Counter())
        written = _category(value)
        if written in counts or len(counts) < 10 * MOST_CATEGORIES:
            counts[written] += 1
        number = _number(value)
        if number is None:
            self.words.add(name)
        elif len(kept := self.numbers.setdefault(name, [])) < KEPT:
            kept.append(number)

    def learned(self, asked: bool | str) -> list[Attribute]:
        """The attributes that are read."""
        if asked is False:
            return []
        least = 0 if asked is True else SHARE * self.events
        names = [name for name, count in self.seen.most_common(MOST_ATTRIBUTES) if count > least]
        return [self._attribute(name) for name in sorted(names)]

    def _attribute(self, name: str) -> Attribute:
        if name not in self.words and len(self.values[name]) > FEW:
            inner = np.quantile(np.array(self.numbers[name]), np.linspace(0, 1, BINS + 1)[1:-1])
            return Attribute(name, edges=tuple(float(one) for one in np.unique(inner)))
        ranked = sorted(self.values[name].items(), key=lambda pair: (-pair[1], pair[0]))
        return Attribute(name, categories=tuple(value for value, _ in ranked[:MOST_CATEGORIES]))


def attribute_codes(events: Sequence[Happening], attributes: Sequence[Attribute]) -> np.ndarray:
    """Codes of each event, int64 `[L, A]`."""
    rows = [[one.code(event.attributes.get(one.name)) for one in attributes] for event in events]
    return np.array(rows, dtype=np.int64).reshape(len(events), len(attributes))


def _number(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and not (isinstance(value, str) and "_" in value) else None


def _category(value: Any) -> str:
    """One name for one value: 3 and 3.0 are the same."""
    number = None if isinstance(value, str) else _number(value)
    return str(value).strip() if number is None else f"{number:.12g}"
