"""`events.v1`: what happened to one user, in order -> ids of items, gaps of time and codes of attributes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from underlay.core import BundleRefused, Encoded, Part, RowError, RowProblem, UsageError, attempt
from underlay.modalities import events_noise, events_parts
from underlay.modalities.events_attributes import Attribute, attribute_codes
from underlay.modalities.events_bag import BagOfItems
from underlay.modalities.events_cell import HIDDEN, Happening, read_events
from underlay.modalities.events_fit import FIRST, MASK, NOTHING, PADDING, UNKNOWN, check_learned, fit_events
from underlay.modalities.events_options import EventsOptions
from underlay.modalities.events_sketch import sketch_events
from underlay.modalities.registry import MODALITIES

GAPS = 42
"""Codes of the time between events: 0 unknown, then one for each doubling of `1 + gap` up to 2 ** 40."""

SUBSTITUTES = 4
STRANGE_PROBES = 0.05
"""Share of events in probes that nobody knows, so that their id is replayed too."""

LONG_PROBES = 0.05


@MODALITIES("events.v1")
@dataclass(frozen=True)
class Events:
    """Sequences of events of one column; `fit` returns the one that can encode.

    Args:
        limit: Events the trunk can read in one segment; None where it reads any number.
        options: What the recipe asked for.
        learned: What `fit` found, JSON data; see `events_fit.fit_events`.
    """

    limit: int | None = None
    options: EventsOptions = field(default_factory=EventsOptions)
    learned: Mapping[str, Any] = field(default_factory=dict)

    trunk: ClassVar[str] = "transformer"
    causal: ClassVar[str] = "sasrec"
    files: ClassVar[bool] = False
    features: ClassVar[str] = "bag of items"

    @property
    def name(self) -> str:
        """`events.v1`."""
        return "events.v1"

    @classmethod
    def create(cls, *, assets: Mapping[str, bytes], limit: int | None, options: Mapping[str, Any]) -> "Events":  # noqa: ARG003
        """An unfitted modality.

        Args:
            assets: The trunk's files; none is used.
            limit: Events the trunk can read in one segment.
            options: See `EventsOptions`.

        Raises:
            RecipeError: Unknown options or values out of range.
        """
        return cls(limit, EventsOptions.read(options))

    def fit(self, values: Iterable[Any], rng: np.random.Generator) -> "Events":
        """Learn the items, the length, and what else the events tell.

        Raises:
            DataError: No value holds an event.
        """
        rows = (row for value in values if not isinstance(row := attempt(self._events, value), RowProblem))
        return replace(self, learned=fit_events(rows, limit=self.limit, options=self.options))

    @property
    def items(self) -> tuple[str, ...]:
        """What is known by name, in the order that labels have."""
        return tuple(self._learned("items"))

    @property
    def max_length(self) -> int:
        """Events of the longest segment."""
        return int(self._learned("max_length"))

    def encode(self, value: Any) -> Encoded:
        """The arrays of one row.

        Gives `items` int64 `[L]`; the number of its segment at each position, `mask` `[L]`; the event of the row that a
        position answers for, `events` `[L]`, -1 for none: the one there, or with `cloze` the one before, since what
        follows that one stands there; the `count` of all its events `[1]`; and, where they are read, codes
        of the time since the event before, `gaps` `[L]`, and of `attributes` `[L, A]`.

        Raises:
            RowError: No events.
        """
        events = self._events(value)
        if not events:
            return self._arrange((), np.full(1, -1), np.ones(1, np.int64), 0)
        shown = (*events, Happening(None)) if self.options.cloze else events
        places, mask = self._kept(len(shown))
        return self._arrange(shown, places, mask, len(events))

    def _arrange(self, events: Sequence[Happening], places: np.ndarray, mask: np.ndarray, count: int) -> Encoded:
        kept = [events[place] for place in places.tolist()] if count else []
        ids = np.array([self._id(event) for event in kept], dtype=np.int64) if count else np.array([NOTHING])
        answered = (places - 1 if self.options.cloze and count else places).astype(np.int64)
        found = {"items": ids, "mask": mask, "events": answered, "count": np.array([count])}
        if self._learned("times"):
            gaps = gap_codes(events)
            found["gaps"] = gaps[places] if count else np.zeros(1, np.int64)
        if self._attributes:
            codes = attribute_codes(kept, self._attributes)
            found["attributes"] = codes if count else np.zeros((1, len(self._attributes)), np.int64)
        return found

    def _kept(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which events are read, and the number of the segment of each; the newest stand in the last."""
        room, long = self.max_length, self.options.long
        if count <= room or long != "windows":
            first = 0 if long == "head" else max(0, count - room)
            places = np.arange(first, min(count, first + room))
            return places, np.ones(len(places), np.int64)
        segments = min(self.options.windows, -(-count // room))
        places = np.arange(max(0, count - segments * room), count)
        return places, segments - (count - 1 - places) // room

    def encode_many(self, values: Sequence[Any]) -> list[Encoded | RowProblem]:
        """`encode` for many; a problem stands where a value cannot be used."""
        return [attempt(self.encode, value) for value in values]

    def collate(self, encoded: Sequence[Encoded]) -> Mapping[str, np.ndarray]:
        """`items` and `mask` `[B, L]`, where they are read `gaps` `[B, L]`, `attributes` `[B, L, A]`; 0 at padding."""
        longest = max(self.length(row) for row in encoded)
        names = [name for name in ("items", "mask", "gaps", "attributes") if name in encoded[0]]
        found: dict[str, np.ndarray] = {
            name: np.full((len(encoded), longest, *encoded[0][name].shape[1:]), PADDING, np.int64) for name in names
        }
        for row, arrays in enumerate(encoded):
            for name, stacked in found.items():
                stacked[row, : len(arrays[name])] = arrays[name]
        return found

    def length(self, encoded: Encoded) -> int:
        """Positions of one encoded row: its events, or one where there is none."""
        return len(encoded["items"])

    def units(self, encoded: Encoded) -> np.ndarray:
        """Which event each position answers for, int64 `[L]`; -1 where it answers for none."""
        return encoded["events"]

    def count(self, encoded: Encoded) -> int:
        """Events of the row, those that were cut included."""
        return int(encoded["count"][0])

    @property
    def first(self) -> int:
        """The id of the first item."""
        return FIRST

    @property
    def hidden(self) -> Mapping[str, int] | None:
        """What stands in the arrays where an event is hidden; None where the answer is not read there."""
        return {"items": MASK, "gaps": 0, "attributes": 0} if self.options.cloze else None

    def unfolded(self, value: Any) -> list[Any]:
        """The events as a list, JSON data.

        Raises:
            RowError: As `encode`.
        """
        return events_parts.plain(self._events(value))

    def named(self, value: Any) -> list[str | None]:
        """The item of each event; None where it is hidden.

        Raises:
            RowError: As `encode`.
        """
        return [event.item for event in self._events(value)]

    def barred(self, value: Any) -> list[str]:
        """Items that happened already, where the training rows repeat few: these are no answer to what happens next.

        Raises:
            RowError: As `encode`.
        """
        if self._learned("repeats"):
            return []
        return list(dict.fromkeys(name for name in self.named(value) if name is not None))

    def describe(self) -> Mapping[str, Any]:
        """What the stem `events.v1` needs: `vocabulary`, `gaps`, sizes of the `attributes`, `limit`."""
        return {
            "name": self.name,
            "vocabulary": FIRST + len(self._learned("items")),
            "gaps": GAPS if self._learned("times") else 0,
            "attributes": [one.size for one in self._attributes],
            "limit": self.max_length,
        }

    def facts(self) -> Mapping[str, Any]:
        """What `fit` chose and why: items, length, times, attributes, repeats and `warnings`."""
        return dict(self.learned.get("facts", {}))

    def augment(self, value: Any, rng: np.random.Generator) -> list[Any]:
        """The events cropped, some of them hidden or reordered, as far as the options say."""
        return events_parts.plain(events_noise.augment(self._events(value), rng, rates=self.options.augment))

    def parts(self, value: Any) -> tuple[Part, ...]:
        """Each event; none where it is no row of events."""
        return events_parts.parts(self._events_or_none(value))

    def without(self, value: Any, parts: Sequence[Part]) -> Any:
        """The row without these events; a single hidden one where none is left."""
        return events_parts.plain(events_parts.without(self._events(value), parts)) if parts else value

    def substitutes(self, value: Any, part: Part) -> tuple[Any, ...]:
        """The row with that event's item replaced by others that happen often."""
        events = list(self._events(value))
        own, items = events[part.start].item, self._learned("items")
        others = [items[place] for place in self._learned("popular") if items[place] != own][:SUBSTITUTES]
        return tuple(
            events_parts.plain(
                [*events[: part.start], replace(events[part.start], item=other), *events[part.start + 1 :]]
            )
            for other in others
        )

    def corrupt(self, value: Any, kind: str, severity: int, rng: np.random.Generator) -> list[Any]:
        """The row damaged in one of `events_noise.KINDS` or `noise`, severity 1 to 5.

        Raises:
            UnknownName: There is no such kind.
        """
        items = self._learned("items")
        return events_parts.plain(events_noise.corrupt(self._events(value), kind, severity, rng, items=items))

    def render(self, value: Any, weights: Sequence[float]) -> str:
        """HTML of the events, each shaded by its weight, -1 to 1."""
        return events_parts.render(self._events(value), weights)

    def probe(self, rng: np.random.Generator) -> list[Any]:
        """Frequent items in random order, as many as rows have: a history nobody had."""
        lengths = np.array(self._learned("lengths"))
        count = max(1, round(float(np.interp(rng.random(), np.linspace(0, 1, len(lengths)), lengths))))
        if rng.random() < LONG_PROBES:
            count = 2 * self.max_length
        items, popular = self._learned("items"), self._learned("popular")
        drawn = [items[popular[int(place)]] for place in rng.integers(len(popular), size=count)]
        names = [events_noise.STRANGE if rng.random() < STRANGE_PROBES else name for name in drawn]
        gaps = np.round(rng.exponential(max(float(self._learned("gap")), 1.0), size=count), 3)
        times = np.cumsum(gaps).round(3).tolist() if self._learned("times") else [None] * count
        codes = [self._drawn_attributes(rng) for _ in range(count)]
        return events_parts.plain(
            [Happening(name, time, own) for name, time, own in zip(names, times, codes, strict=True)]
        )

    def _drawn_attributes(self, rng: np.random.Generator) -> dict[str, Any]:
        """Of one event of a probe."""
        found: dict[str, Any] = {}
        for one in self._attributes:
            known: Sequence[Any] = one.categories or one.edges
            if known and rng.random() < 0.9:
                found[one.name] = known[int(rng.integers(len(known)))]
        return found

    def sketch(self, values: Iterable[Any]) -> Mapping[str, Any]:
        """Histograms of lengths, repeats, gaps and hashed items."""
        rows = (self._events_or_none(value) for value in values)
        return sketch_events((events, self._places(events)) for events in rows if events)

    def fingerprint(self, value: Any) -> np.ndarray:
        """Hashed neighbours and the whole, uint64, sorted; empty for what is no row of events."""
        events = attempt(self._events, value)
        return np.empty(0, np.uint64) if isinstance(events, RowProblem) else events_parts.fingerprint(events)

    def classical(self) -> BagOfItems:
        """Which items happened and how often."""
        return BagOfItems(
            lambda value: attempt(lambda cell: self._places(self._events(cell)), value), len(self._learned("items"))
        )

    def state(self) -> Mapping[str, bytes]:
        """`events.json`."""
        settings = {"limit": self.limit, "options": asdict(self.options), "learned": dict(self.learned)}
        return {"events.json": json.dumps(settings, sort_keys=True).encode()}

    @classmethod
    def from_state(cls, files: Mapping[str, bytes]) -> "Events":
        """The fitted modality that `state` came from.

        Raises:
            BundleRefused: A file is missing, foreign or unreadable.
        """
        if set(files) != {"events.json"}:
            raise BundleRefused(
                f"events.v1 reads events.json; there is {sorted(files)}", "seal it again", code="modality"
            )
        try:
            settings = json.loads(files["events.json"])
            events = cls(settings["limit"], EventsOptions.read(settings["options"]), dict(settings["learned"]))
            check_learned(events.learned, limit=events.limit)
            events.encode([{HIDDEN: True}])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RowError, UsageError) as error:
            raise BundleRefused(f"events.json cannot be read: {error}", "seal it again", code="modality") from error
        return events

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self._learned("items"))}

    @cached_property
    def _attributes(self) -> tuple[Attribute, ...]:
        return tuple(Attribute.of(one) for one in self._learned("attributes"))

    def _id(self, event: Happening) -> int:
        if event.item is None:
            return MASK
        place = self._numbers.get(event.item)
        return UNKNOWN if place is None else FIRST + place

    def _places(self, events: Sequence[Happening]) -> np.ndarray:
        """Of the items among the known ones, int64 `[N]`, -1 where one is not."""
        numbers = self._numbers
        return np.array([-1 if event.item is None else numbers.get(event.item, -1) for event in events], dtype=np.int64)

    def _events(self, value: Any) -> tuple[Happening, ...]:
        refused = self.options.empty == "refuse"
        events = read_events(value, empty=not refused)
        if refused and not events:
            raise RowError(
                "nothing has happened yet, so there is nothing to go by", "give at least one event", code="no_history"
            )
        return events

    def _events_or_none(self, value: Any) -> tuple[Happening, ...]:
        found = attempt(self._events, value)
        return () if isinstance(found, RowProblem) else found

    def _learned(self, name: str) -> Any:
        if name not in self.learned:
            raise UsageError("this events modality has learned nothing yet", "call fit first")
        return self.learned[name]


def gap_codes(events: Sequence[Happening]) -> np.ndarray:
    """Code of the time since the event before, int64 `[N]`: 0 where it is not known, else 1 and more by doublings.

    >>> gap_codes([Happening("a", 0.0), Happening("b", 0.0), Happening("c", 3.0)]).tolist()
    [0, 1, 3]
    """
    times = np.array([np.nan if event.time is None else event.time for event in events], dtype=np.float64)
    gaps = np.diff(times, prepend=np.nan)
    known = np.isfinite(gaps)
    doublings = np.floor(np.log2(1 + np.where(known, gaps, 0.0)))
    return np.where(known, 1 + np.clip(doublings, 0, GAPS - 2), 0).astype(np.int64)
