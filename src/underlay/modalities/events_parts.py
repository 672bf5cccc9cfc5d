"""Single events of a sequence: what explanations take out, attacks replace and near-duplicates share."""

import hashlib
import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from underlay.core import Part
from underlay.modalities.events_cell import NOBODY, Happening

SHINGLE = 2
"""Events a shingle: neighbours."""


def parts(events: Sequence[Happening]) -> tuple[Part, ...]:
    """Each event, by its place.

    >>> [part.text for part in parts([Happening("bread"), Happening("milk")])]
    ['bread', 'milk']
    """
    return tuple(Part(place, place + 1, event.shown) for place, event in enumerate(events))


def without(events: Sequence[Happening], left_out: Sequence[Part]) -> list[Happening]:
    """The events without these; one hidden event where none is left."""
    gone = {place for part in left_out for place in range(part.start, part.stop)}
    return [event for place, event in enumerate(events) if place not in gone] or [NOBODY]


def plain(events: Sequence[Happening]) -> list[Any]:
    """The events as a cell, JSON data."""
    return [event.plain() for event in events]


def render(events: Sequence[Happening], weights: Sequence[float]) -> str:
    """HTML of the events in their order, each shaded: green pushes towards the answer (1), red away from it (-1).

    >>> render([Happening("milk")], [1.0])
    '<span class="events"><mark style="background:rgba(46,160,67,0.60)" title="+1.000">milk</mark></span>'
    """
    shown = []
    for event, weight in zip(events, weights, strict=True):
        colour = "46,160,67" if weight >= 0 else "218,54,51"
        shade = f"background:rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})"
        shown.append(f'<mark style="{shade}" title="{weight:+.3f}">{html.escape(event.shown)}</mark>')
    return f'<span class="events">{" → ".join(shown)}</span>'


def fingerprint(events: Sequence[Happening]) -> np.ndarray:
    """Sorted distinct hashes of neighbours and of the whole in its order, uint64; times and attributes count there."""
    names = [event.item or "" for event in events]
    width = min(SHINGLE, max(1, len(names)))
    runs = {"\x1f".join(names[place : place + width]) for place in range(len(names) - width + 1)}
    whole = "\x1e".join(repr((event.item, event.time, sorted(event.attributes.items()))) for event in events)
    return np.array(sorted({_hash(run) for run in runs} | {_hash(f"\x1d{len(names)}\x1d{whole}")}), dtype=np.uint64)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
