"""Sequences of events changed as chance and faulty logs change them.

Source: of the augmentation, Xie et al., Contrastive Learning for Sequential Recommendation, ICDE 2022 (CL4SRec):
crop, mask and reorder; there the shares are fixed, here they are drawn up to a largest one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.events_cell import NOBODY, Happening
from underlay.modalities.events_options import EventsAugmentation

RATES = (0.05, 0.1, 0.2, 0.35, 0.5)
"""Share of events damaged at severity 1 to 5."""

STRANGE = "an item nobody knows"
NOISE = "noise"

Events = list[Happening]
Damage = Callable[[Events, float, np.random.Generator], Events]


def augment(events: Sequence[Happening], rng: np.random.Generator, *, rates: EventsAugmentation) -> Events:
    """The events cropped, some of them hidden, or some neighbours reordered: one of the three, at least one left."""
    changes = (
        lambda found: _crop(found, rates.crop * rng.random(), rng),
        lambda found: _mask(found, rates.mask * rng.random(), rng),
        lambda found: _reorder(found, rates.reorder * rng.random(), rng),
    )
    return changes[int(rng.integers(len(changes)))](list(events))


def corrupt(
    events: Sequence[Happening], kind: str, severity: int, rng: np.random.Generator, *, items: Sequence[str]
) -> Events:
    """The events with one kind of damage; at least one stays.

    Args:
        events: In order.
        kind: One of `KINDS`, or `noise`.
        severity: 1 to 5.
        rng: Draws what is damaged.
        items: That could have happened instead.

    Raises:
        UnknownName: There is no such kind.
        UsageError: `severity` is not 1 to 5.
    """
    if kind != NOISE and kind not in KINDS:
        raise UnknownName("kind of events damage", kind, [*KINDS, NOISE])
    if not 1 <= severity <= len(RATES):
        raise UsageError(f"severity is {severity}", "give 1 (slight) to 5")
    damage = KINDS.get(kind) or (lambda found, rate, drawn: _noise(found, rate, drawn, items=items))
    return damage(list(events), RATES[severity - 1], rng) or list(events)


def in_time(events: Sequence[Happening], times: Sequence[float | None]) -> Events:
    """The events, each at the time of its place: another order of events is no other clock."""
    return [
        event if event.item is None else replace(event, time=time) for event, time in zip(events, times, strict=True)
    ]


def _crop(events: Events, share: float, rng: np.random.Generator) -> Events:
    cut = int(share * len(events))
    begin = int(rng.integers(cut + 1))
    return events[begin : len(events) - cut + begin]


def _mask(events: Events, share: float, rng: np.random.Generator) -> Events:
    return [NOBODY if hit else event for event, hit in zip(events, rng.random(len(events)) < share, strict=True)]


def _reorder(events: Events, share: float, rng: np.random.Generator) -> Events:
    count = min(len(events), max(2, round(share * len(events))))
    begin = int(rng.integers(len(events) - count + 1)) if events else 0
    inside = begin + rng.permutation(count)
    order = [*range(begin), *inside.tolist(), *range(begin + count, len(events))]
    return in_time([events[place] for place in order], [event.time for event in events])


def _drop(events: Events, rate: float, rng: np.random.Generator) -> Events:
    return [event for event in events if rng.random() >= rate]


def _repeat(events: Events, rate: float, rng: np.random.Generator) -> Events:
    return [copy for event in events for copy in [event] * (2 if rng.random() < rate else 1)]


def _swap(events: Events, rate: float, rng: np.random.Generator) -> Events:
    found = list(events)
    for place in range(len(found) - 1):
        if rng.random() < rate:
            found[place], found[place + 1] = found[place + 1], found[place]
    return in_time(found, [event.time for event in events])


def _noise(events: Events, rate: float, rng: np.random.Generator, *, items: Sequence[str]) -> Events:
    """Some events are of other items."""
    return [
        replace(event, item=items[int(rng.integers(len(items)))])
        if event.item is not None and rng.random() < rate
        else event
        for event in events
    ]


def _unknown(events: Events, rate: float, rng: np.random.Generator) -> Events:
    return [replace(event, item=STRANGE) if event.item and rng.random() < rate else event for event in events]


KINDS: dict[str, Damage] = {"drop": _drop, "repeat": _repeat, "swap": _swap, "unknown": _unknown}
"""Name -> damage `(events, share, rng) -> events`; `noise` puts other known items in the place of some."""
