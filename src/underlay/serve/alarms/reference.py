"""What a bundle itself says of how its answers are spread, as categories that can be counted while it serves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.core import Target
from underlay.serve.alarms.alarm import quoted
from underlay.serve.metrics import CONFIDENCE, LABELS

SMALLEST = 0.01
"""Share of a category: of 500 rows it has five, below which a chi-square says little. Smaller ones count as one."""

OTHERS = "(others)"


@dataclass(frozen=True)
class Category:
    """Rows that are counted together.

    Args:
        name: For people.
        count: Of them in a window, in PromQL, with `{window}` where its length stands.
        rows: Of them in the reference.
    """

    name: str
    count: str
    rows: float


@dataclass(frozen=True)
class Spread:
    """How one property of the answers to one target is spread.

    Args:
        model: Name.
        target: Name.
        what: `label` or `confidence`.
        categories: At least two, each with a share of at least `SMALLEST`.
    """

    model: str
    target: str
    what: str
    categories: tuple[Category, ...]

    @property
    def rows(self) -> float:
        """Of the reference."""
        return math.fsum(category.rows for category in self.categories)

    @property
    def shares(self) -> np.ndarray:
        """`[K]`, sums to 1; none is 0."""
        rows = np.array([category.rows for category in self.categories]) + 0.5
        shares: np.ndarray = rows / rows.sum()
        return shares


def spreads(model: str, targets: Sequence[Target], reference: Mapping[str, Any], *, job: str) -> list[Spread]:
    """What a bundle's reference says, as far as rows of it are independent of each other.

    Of a target with several labels a row the labels depend on one another, so only its confidence is compared; a number
    has neither.

    Args:
        model: Name under which it is served.
        targets: Of the bundle.
        reference: `reference.json`.
        job: As Prometheus calls it.
    """
    found = []
    for target in targets:
        said = reference.get("targets", {}).get(target.name)
        if said is None or "decisions" not in said:
            continue
        of = f'job="{job}",model={quoted(model)},target={quoted(target.name)}'
        if target.task in ("binary", "multiclass"):
            found.append(Spread(model, target.name, "label", tuple(_labels(target, said["decisions"], of))))
        found.append(Spread(model, target.name, "confidence", tuple(_confidence(said["confidence"], of))))
    return [spread for spread in found if len(spread.categories) > 1 and spread.rows > 0]


def _labels(target: Target, decisions: Mapping[str, int], of: str) -> list[Category]:
    """Those that are counted by themselves, and the others as one."""
    total = sum(decisions.values())
    common = [label for label in target.labels[:LABELS] if decisions[label] >= max(1.0, SMALLEST * total)]
    rare = total - sum(decisions[label] for label in common)
    common.sort(key=lambda label: -decisions[label])
    while 1 < len(common) < len(target.labels) and rare < SMALLEST * total:  # too few: the rarest of the common joins
        rare += decisions[common.pop()]
    own = [Category(label, _increase("underlay_predictions_total", of, f"label={quoted(label)}"), decisions[label])
           for label in common]  # fmt: skip
    if len(common) == len(target.labels):
        return own
    matched = "|".join(_literal(label) for label in common)
    others = Category(OTHERS, _increase("underlay_predictions_total", of, f"label!~{quoted(matched)}"), rare)
    return [*own, others]


def _confidence(histogram: Mapping[str, Sequence[float]], of: str) -> list[Category]:
    """Between the bounds that the server and the reference share, neighbours joined until each is large enough."""
    edges = [*histogram["edges"], 1.0]
    bounds = [bound for bound in CONFIDENCE if any(math.isclose(bound, edge) for edge in edges)]
    total, rows, low = sum(histogram["counts"]), 0.0, 0.0
    cuts: list[tuple[float, float, float]] = []
    for bound in bounds:
        rows += sum(
            count
            for edge, count in zip(histogram["edges"], histogram["counts"], strict=True)
            if _previous(bounds, bound) - 1e-9 < edge < bound - 1e-9
        )
        if rows >= max(1.0, SMALLEST * total):
            cuts.append((low, bound, rows))
            low, rows = bound, 0.0
    if cuts:  # what is left above the last cut belongs to it
        cuts[-1] = (cuts[-1][0], 1.0, cuts[-1][2] + rows)
    return [Category(f"{low:g} to {high:g}", _between(low, high, of), count) for low, high, count in cuts]


def _between(low: float, high: float, of: str) -> str:
    """Answers whose confidence is above one bound and at most another."""
    name = "underlay_confidence_bucket"
    upper, lower = (_increase(name, of, f'le="{bound}"') for bound in (float(high), float(low)))
    return upper if low == 0 else f"{upper} - {lower}"


def _increase(name: str, of: str, more: str) -> str:
    return f"sum(increase({name}{{{of},{more}}}[{{window}}]))"


def _previous(bounds: Sequence[float], bound: float) -> float:
    place = bounds.index(bound)
    return bounds[place - 1] if place else 0.0


def _literal(text: str) -> str:
    """A text as a regular expression that matches it alone."""
    return "".join("\\" + letter if letter in r"\.+*?()|[]{}^$" else letter for letter in text)
