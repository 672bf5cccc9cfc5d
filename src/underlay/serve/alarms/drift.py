"""Alarms about answers: whether they are spread as they were when the bundle was measured, and whether they are right.

The statistic of a window of n rows against a reference of N is chi-square, divided by 1 + n/N because the reference is
a sample too. Its bound is a quantile of what the bundle's own reference gives by chance.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from underlay.core import Target
from underlay.serve.alarms.alarm import Alarm, Figure, quoted
from underlay.serve.alarms.reference import Spread

WINDOW = "6h"
LEAST = 500
"""Rows of a window: of fewer, a difference that matters is not told from chance."""

CHANCE = 0.001
"""That a window of a bundle that has not changed is beyond the bound, of all that is compared together (Holm's first
step); the alarm wants two windows in a row."""

LEAST_MOVED = 0.05
"""Of the rows that must be in another category than before: of very many rows any difference is beyond chance."""

DRAWS, PIECE = 100_000, 10_000
"""Windows that are drawn for a bound: a hundred are beyond it. Drawn in pieces, as each takes a row of memory."""

LEAST_JUDGED, WORSE = 50, 0.05
"""Answers that people judged, and how far fewer than when the bundle was measured are right."""

JUDGED = "7d"
_Z = 1.96
"""Two-sided 95 %."""

_BY = "model, target, what"


def bound_of(spread: Spread, *, chance: float) -> float:
    """What the statistic of a window of `LEAST` rows exceeds with this probability if nothing changed.

    Args:
        spread: Of the reference.
        chance: In (0, 1).
    """
    rng, shares, rows = np.random.default_rng(0), spread.shares, round(spread.rows)
    found = []
    for _ in range(DRAWS // PIECE):
        reference = rng.multinomial(rows, shares, size=PIECE) + 0.5  # as `Spread.shares`
        window = rng.multinomial(LEAST, shares, size=PIECE)
        found.append(statistic(window, reference / reference.sum(-1, keepdims=True), rows))
    return float(np.quantile(np.concatenate(found), 1 - chance))


def statistic(window: np.ndarray, shares: np.ndarray, rows: float) -> np.ndarray:
    """Of windows, as the rules compute it.

    Args:
        window: `[..., K]`, counts.
        shares: `[..., K]`, of the reference.
        rows: Of the reference.
    """
    total = window.sum(-1, keepdims=True)
    expected = shares * total
    found: np.ndarray = ((window - expected) ** 2 / expected).sum(-1) / (1 + total[..., 0] / rows)
    return found


def figures(spreads: Sequence[Spread]) -> list[Figure]:
    """What the alarms compare: the reference as constants, and the latest window.

    Args:
        spreads: Of all bundles.
    """
    found = []
    for spread in spreads:
        of = {"model": spread.model, "target": spread.target, "what": spread.what}
        chance = CHANCE / len(spreads)
        found.append(Figure("underlay:reference:rows", f"vector({spread.rows:g})", of))
        found.append(Figure("underlay:reference:bound", f"vector({bound_of(spread, chance=chance):.4g})", of))
        for category, share in zip(spread.categories, spread.shares, strict=True):
            labels = of | {"category": category.name}
            found.append(Figure("underlay:reference:share", f"vector({share:.6g})", labels))
            counted = category.count.replace("{window}", WINDOW)
            found.append(Figure("underlay:answers:count", counted, labels))
    return [*found, *_window()] if spreads else []


def _window() -> list[Figure]:
    """The statistic, and the share of the rows that moved."""
    expected = f"underlay:reference:share * on ({_BY}) group_left () underlay:answers:rows"
    difference = f"(underlay:answers:count - on ({_BY}, category) underlay:answers:expected)"
    return [
        Figure("underlay:answers:rows", f"sum by ({_BY}) (underlay:answers:count)"),
        Figure("underlay:answers:expected", expected),
        Figure(
            "underlay:answers:statistic",
            f"sum by ({_BY}) ({difference} ^ 2 / on ({_BY}, category) (underlay:answers:expected > 0)) "
            f"/ on ({_BY}) (1 + underlay:answers:rows / on ({_BY}) underlay:reference:rows)",
        ),
        Figure(
            "underlay:answers:moved",
            f"sum by ({_BY}) (abs({difference})) / 2 / on ({_BY}) (underlay:answers:rows > 0)",
        ),
    ]


def alarms(spreads: Sequence[Spread]) -> list[Alarm]:
    """That the spread has changed.

    Args:
        spreads: Of all bundles.
    """
    said = {
        "label": (
            "UnderlayLabelMix", "{{ $labels.model }} answers {{ $labels.target }} with other labels than it did",
            "look at what comes in: other customers, another season, a broken sender; then label some and fit again",
        ),
        "confidence": (
            "UnderlayConfidence", "{{ $labels.model }} is not as sure of {{ $labels.target }} as it was",
            "look at the answers that are least sure; a broken sender and a new subject both look like this",
        ),
    }  # fmt: skip
    present = {spread.what for spread in spreads}
    return [
        Alarm(name, _beyond(what), "ticket", summary, action)
        for what, (name, summary, action) in said.items()
        if what in present
    ]


def _beyond(what: str) -> str:
    """Two windows in a row beyond the bound."""

    def window(offset: str) -> str:
        of = f'{{what="{what}"}}{offset}'
        return (
            f"underlay:answers:statistic{of} > on ({_BY}) underlay:reference:bound "
            f"and on ({_BY}) underlay:answers:rows{of} >= {LEAST} "
            f"and on ({_BY}) underlay:answers:moved{of} > {LEAST_MOVED:g}"
        )

    return f"({window('')}) and on ({_BY}) ({window(f' offset {WINDOW}')})"


def quality_figures(bundles: Mapping[str, tuple[Sequence[Target], Mapping[str, Any]]], *, job: str) -> list[Figure]:
    """How many answers were right when a bundle was measured, and how many are.

    Args:
        bundles: Targets and `metrics.json`, by the name under which one is served.
        job: As Prometheus calls it.
    """
    found = [
        figure
        for model, (targets, metrics) in bundles.items()
        for target in targets
        for figure in _quality(model, target, metrics, job)
    ]
    return [*found, _highest()] if found else []


def _quality(model: str, target: Target, metrics: Mapping[str, Any], job: str) -> list[Figure]:
    accuracy = metrics.get(target.name, {}).get("accuracy", {}).get("value")
    if accuracy is None or not math.isfinite(accuracy):
        return []
    labels = {"model": model, "target": target.name}
    of = f'job="{job}",model={quoted(model)},target={quoted(target.name)}'
    judged = f"sum(increase(underlay_reviewed_total{{{of}}}[{JUDGED}]))"
    right = f'sum(increase(underlay_reviewed_total{{{of},right="true"}}[{JUDGED}]))'
    return [
        Figure("underlay:measured:accuracy", f"vector({accuracy:.6g})", labels),
        Figure("underlay:judged:rows", judged, labels),
        Figure("underlay:judged:accuracy", f"{right} / ({judged} > 0)", labels),
    ]


def _highest() -> Figure:
    """The upper end of Wilson's interval of the accuracy that people found."""
    p, n, z = "underlay:judged:accuracy", "underlay:judged:rows", _Z
    spread = f"sqrt({p} * (1 - {p}) / {n} + {z * z / 4:.6g} / {n} ^ 2)"
    return Figure(
        "underlay:judged:highest", f"({p} + {z * z / 2:.6g} / {n} + {z:g} * {spread}) / (1 + {z * z:.6g} / {n})"
    )


def quality_alarms(figures: Sequence[Figure]) -> list[Alarm]:
    """That fewer answers are right than were, beyond chance and by a margin.

    Args:
        figures: As `quality_figures` gives them, of all bundles.
    """
    if not figures:
        return []
    condition = (
        f"underlay:judged:rows >= {LEAST_JUDGED} and underlay:judged:highest < underlay:measured:accuracy "
        f"and underlay:judged:accuracy < underlay:measured:accuracy - {WORSE:g}"
    )
    return [
        Alarm(
            "UnderlayQuality", condition, "ticket",
            "of the answers of {{ $labels.model }} that people judged, fewer are right than when it was measured",
            "`underlay feedback export` writes the judged rows: fit again with them, or roll back",
        )
    ]  # fmt: skip
