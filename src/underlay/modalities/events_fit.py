"""What an events modality learns: names of items, a length, and whether times, attributes and repeats matter."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from underlay.core import DataError, sort_labels
from underlay.modalities.events_attributes import Attribute, AttributeSurvey
from underlay.modalities.events_cell import Happening
from underlay.modalities.events_options import EventsOptions

PADDING, UNKNOWN, MASK, NOTHING = range(4)
"""Ids that are no item: filled up, not known by name, hidden, no event at all."""

FIRST = 4
"""Id of the first item."""

CAP = 200
"""`auto` goes no further: of what happened two hundred events ago little is left (SASRec read 200 at most)."""

LONGEST = 1 << 20
COVERED = 0.99

POPULAR = 512
"""Items that synthetic rows are drawn from."""

REPEATING = 0.05
"""Share of events that happened to the same row before, above which a repeat is an answer like any other."""

TIMED = 0.5
"""Share of rows with times above which times are read."""


@dataclass
class Survey:
    """One pass over the training rows."""

    rows: int = 0
    holders: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    timed: int = 0
    gaps: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    attributes: AttributeSurvey = field(default_factory=AttributeSurvey)

    def add(self, events: Sequence[Happening]) -> None:
        """Count one row in."""
        names = [event.item for event in events if event.item is not None]
        own = Counter(names)
        self.rows += 1
        self.holders.update(own.keys())
        self.events.update(own)
        self.repeated += len(names) - len(own)
        self.lengths.append(len(events))
        times = [event.time for event in events if event.time is not None]
        self.timed += len(times) == len(events) > 0
        if len(times) == len(events) > 1 and len(self.gaps) < 100_000:
            self.gaps.append((times[-1] - times[0]) / (len(times) - 1))
        self.attributes.add(events)


def fit_events(rows: Iterable[Sequence[Happening]], *, limit: int | None, options: EventsOptions) -> dict[str, Any]:
    """What was learned, JSON data: `items`, `popular`, `max_length`, `times`, `repeats`, `attributes` and `facts`.

    Args:
        rows: Training rows, read once.
        limit: Events the trunk can read in one segment; None: any number.
        options: What the recipe says.

    Raises:
        DataError: No row holds an event.
    """
    survey = Survey()
    for events in rows:
        survey.add(events)
    if not survey.events:
        raise DataError(
            "no row holds an event", 'name the column that does: --events COLUMN; a cell is ["a", "b"] or a|b',
            code="no_events",
        )  # fmt: skip
    items = _vocabulary(survey, options)
    lengths = np.array([length for length in survey.lengths if length])
    max_length, why = choose_length(lengths + options.cloze, asked=options.max_length, limit=limit)
    total = sum(survey.events.values())
    times = survey.timed > TIMED * survey.rows if options.times == "auto" else options.times
    repeats = survey.repeated > REPEATING * total if options.repeats == "auto" else options.repeats
    attributes = survey.attributes.learned(options.attributes)
    known = set(items)
    ranked = sorted(known, key=lambda name: (-survey.holders[name], name))
    places = {name: place for place, name in enumerate(items)}
    learned = {
        "items": items,
        "popular": [places[name] for name in ranked[:POPULAR]],
        "max_length": max_length,
        "times": times,
        "gap": float(np.median(survey.gaps)) if survey.gaps else 0.0,
        "repeats": repeats,
        "attributes": [one.plain() for one in attributes],
        "rows": survey.rows,
        "lengths": [int(one) for one in np.quantile(lengths, [0.05, 0.25, 0.5, 0.75, 0.95])],
    }
    unnamed = sum(count for name, count in survey.events.items() if name not in known) / total
    return {**learned, "facts": _facts(survey, learned, lengths, why, unnamed=unnamed, options=options)}


def choose_length(lengths: np.ndarray, *, asked: int | str, limit: int | None) -> tuple[int, str]:
    """The most events of a segment and the sentence that says why.

    >>> choose_length(np.array([3, 12, 30]), asked="auto", limit=None)
    (32, '99 % of the rows have at most 30 events')
    """
    if asked != "auto":
        chosen = int(asked) if limit is None else min(int(asked), limit)
        return chosen, "asked for" if chosen == int(asked) else f"asked for {asked}; the trunk reads at most {limit}"
    covered = int(np.quantile(lengths, COVERED, method="higher"))
    most = min(limit or CAP, CAP)
    because = f"99 % of the rows have at most {covered} events"
    rounded = max(8, -(-covered // 8) * 8)  # multiples of 8 suit vector units
    if rounded <= most:
        return rounded, because
    share = f"{float((lengths > most).mean()):.0%}".replace("%", " %")
    return most, f"{because}; {share} have more than {most}, and the newest are read (model.max_length sets it)"


def check_learned(learned: Mapping[str, Any], *, limit: int | None) -> None:
    """Hold what a file says was learned against what `fit_events` could have learned.

    Raises:
        ValueError: It could not.
    """
    items, length, popular = learned["items"], learned["max_length"], learned["popular"]
    if not (isinstance(items, list) and items and all(isinstance(name, str) and name for name in items)):
        raise ValueError("items is no list of names")
    if items != list(sort_labels(set(items))):
        raise ValueError("items are not distinct or not in their order")
    most = LONGEST if limit is None else limit
    if type(most) is not int or type(length) is not int or not 1 <= length <= most <= LONGEST:
        raise ValueError(f"max_length is {length!r}, limit {limit!r}")
    if not popular or not all(type(place) is int and 0 <= place < len(items) for place in popular):
        raise ValueError("popular names no items")
    if type(learned["times"]) is not bool or type(learned["repeats"]) is not bool or type(learned["rows"]) is not int:
        raise ValueError("times, repeats or rows is of another kind")
    lengths, gap = learned["lengths"], learned["gap"]
    if len(lengths) != 5 or not all(type(one) is int and one >= 1 for one in lengths):
        raise ValueError(f"lengths is {lengths!r}")
    if not isinstance(gap, int | float) or not 0 <= gap < float("inf") or not isinstance(learned["facts"], dict):
        raise ValueError(f"gap is {gap!r}, or facts is no mapping")
    for one in learned["attributes"]:
        Attribute.of(one)


def _vocabulary(survey: Survey, options: EventsOptions) -> list[str]:
    """The items known by name, in the order that labels of a target have."""
    often = [name for name, count in survey.holders.items() if count >= options.min_count]
    kept = sorted(often, key=lambda name: (-survey.holders[name], name))[: options.most_items]
    if not kept:
        most = survey.holders.most_common(1)[0][1]
        raise DataError(
            f"no item occurs in {options.min_count} rows; the most frequent one in {most}",
            "lower model.read.events.min_count",
            code="no_items",
        )
    return list(sort_labels(kept))


def _facts(
    survey: Survey,
    learned: Mapping[str, Any],
    lengths: np.ndarray,
    why: str,
    *,
    unnamed: float,
    options: EventsOptions,
) -> dict[str, Any]:
    cut = float((lengths > learned["max_length"]).mean())
    way = {"windows": f"read in at most {options.windows} segments", "head": "cut behind that"}.get(
        options.long, "cut before the newest"
    )
    warnings = []
    if unnamed > 0.05:
        share = f"{unnamed:.0%}".replace("%", " %")
        warnings.append(f"{share} of the events have an item that is too rare to be known by name")
    if cut > 0.01 and options.max_length == "auto":
        share = f"{cut:.0%}".replace("%", " %")
        warnings.append(
            f"{share} of the rows have more than {learned['max_length']} events (up to {lengths.max():,}) and are {way}"
        )
    return {
        "items": len(learned["items"]),
        "max_length": learned["max_length"],
        "why": why,
        "longest": int(lengths.max()),
        "cut": cut,
        "long": way,
        "unnamed": unnamed,
        "empty": survey.rows - len(lengths),
        "times": learned["times"],
        "repeats": learned["repeats"],
        "repeated": survey.repeated / sum(survey.events.values()),
        "attributes": [one["name"] for one in learned["attributes"]],
        "warnings": warnings,
    }
