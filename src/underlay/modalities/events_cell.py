"""One cell of an events column -> what happened, in order."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NoReturn

import numpy as np

from underlay.core import RowError

MOST_EVENTS = 1_000_000
"""Of one cell; more is a file, not a row."""

LONGEST_NAME = 500
"""Characters of an item: a longer one is a text, and `|` or spaces were forgotten."""

KEYS = ("item", "time", "attributes")
"""Of an event that says more than its item."""

HIDDEN = "hidden"
"""Key of an event nobody is told: `{"hidden": true}` holds a place and says nothing."""

SEPARATOR = "|"
_OR_NOTHING = ", or [] where nothing happened"
_MISSING_WORDS = ("nan", "none", "null", "na", "<na>")


@dataclass(frozen=True)
class Happening:
    """One event.

    Args:
        item: Its name; None where it is hidden.
        time: Seconds, or whatever unit the numbers of the column have; None where it is not known.
        attributes: Further values by name.
    """

    item: str | None
    time: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """How a person would name it."""
        return "(hidden)" if self.item is None else self.item

    def plain(self) -> Any:
        """As a cell says it, JSON data."""
        if self.item is None:
            return {HIDDEN: True}
        if self.time is None and not self.attributes:
            return self.item
        found: dict[str, Any] = {"item": self.item}
        if self.time is not None:
            found["time"] = self.time
        return found | ({"attributes": dict(self.attributes)} if self.attributes else {})


NOBODY = Happening(None)
"""The hidden event."""


def read_events(value: Any, *, empty: bool = True) -> tuple[Happening, ...]:
    """What happened, in order; none where the list is empty.

    Args:
        value: A list of items (texts or whole numbers) or of `{"item": ..., "time": ..., "attributes": {...}}`; such a
            list as JSON; or items in one text, separated by `|` or by spaces.
        empty: Whether whoever asks can use a list of nothing; only then one is suggested.

    Raises:
        RowError: It is none of these; the code says what it is.

    >>> [one.item for one in read_events("bread milk")], [one.item for one in read_events("[1, 2]")]
    (['bread', 'milk'], ['1', '2'])
    >>> read_events([{"item": "bread", "time": "2024-01-01"}])[0].time
    1704067200.0
    """
    if isinstance(value, str):
        value = _of_text(value, empty=empty)
    if value is None or (isinstance(value, float | np.floating) and value != value):
        raise RowError(
            "the events are missing", f"give a list of items{_OR_NOTHING if empty else ''}", code="no_events"
        )
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
        refuse(value)
    if len(value) > MOST_EVENTS:
        raise RowError(f"there are {len(value):,} events", f"keep the newest {MOST_EVENTS:,}", code="too_many_events")
    found = tuple(_event(one, place) for place, one in enumerate(value, start=1))
    _require_order(found)
    return found


def read_time(value: Any) -> float | None:
    """A moment as a number: of an ISO date the seconds since 1970 (UTC where no zone is named); None for none.

    >>> read_time(3), read_time("2024-01-01T00:00:01"), read_time("soon")
    (3.0, 1704067201.0, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value) if isfinite(value) else None
    if isinstance(value, datetime):
        return _seconds(value)
    if not isinstance(value, str):
        return None
    try:
        number = float(value) if "_" not in value else float("nan")
        return number if isfinite(number) else None
    except ValueError:
        pass
    try:
        return _seconds(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def item_name(value: Any) -> str | None:
    """The name of an item: a text without spaces around it, or a whole number; None for what is neither.

    >>> item_name(" a "), item_name(3.0), item_name(0.5), item_name("")
    ('a', '3', None, None)
    """
    if isinstance(value, str):
        name = value.strip()
        return name if name and len(name) <= LONGEST_NAME else None
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating) and isfinite(value) and float(value).is_integer():
        return str(int(value))
    return None


def refuse(value: Any) -> NoReturn:
    """Say that a cell is no list of events.

    Raises:
        RowError: Always.
    """
    raise RowError(
        f"a list of events is needed; found {value!r:.60} ({type(value).__name__})",
        'write ["a", "b"], or a|b in one cell',
        code="not_events",
    )


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _of_text(text: str, *, empty: bool) -> Any:
    """What a cell of a text file holds."""
    bare = text.strip()
    if not bare:
        raise RowError(
            "the events are empty", f"write items, as in bread|milk{_OR_NOTHING if empty else ''}", code="empty_events"
        )
    if bare.lower() in _MISSING_WORDS:
        return None
    if bare[0] in "[{":
        return _of_json(bare)
    if SEPARATOR in bare:
        return bare.split(SEPARATOR)
    if "," in bare or ";" in bare:
        raise RowError(
            f"the events are written {bare!r:.60}, which could be one item or several",
            "separate items by | or by spaces, or write a JSON list",
            code="separator",
        )
    return bare.split()


def _of_json(text: str) -> Any:
    try:
        found = json.loads(text)
    except RecursionError:
        raise RowError("the lists of the events are too deep", "write one list", code="not_events") from None
    except ValueError as error:
        raise RowError(
            f"the events begin like JSON and are none: {text!r:.60} ({error})",
            'write ["a", "b"] with double quotes',
            code="not_json",
        ) from None
    if not isinstance(found, list):
        refuse(found)
    return found


def _event(value: Any, place: int) -> Happening:
    """One event of the list, the `place`-th of it."""
    if isinstance(value, Mapping):
        return _told(value, place)
    name = item_name(value)
    if name is None:
        _refuse_item(value, place)
    return Happening(name)


def _told(value: Mapping[Any, Any], place: int) -> Happening:
    """An event that says more than its item."""
    if set(value) == {HIDDEN} and value[HIDDEN] is True:
        return NOBODY
    if stray := [key for key in value if key not in KEYS]:
        raise RowError(
            f"event {place} has the key {stray[0]!r:.60}",
            f"an event has {', '.join(KEYS)}; further values stand in attributes",
            code="event_key",
        )
    name = item_name(value.get("item"))
    if name is None:
        _refuse_item(value.get("item"), place)
    time, attributes = value.get("time"), value.get("attributes") or {}
    missing = time is None or (isinstance(time, float) and time != time)
    moment = None if missing else read_time(time)
    if moment is None and not missing:
        raise RowError(
            f"event {place} has the time {time!r:.60}, which is none",
            "write a number or an ISO date (2024-01-31T12:00:00)",
            code="event_time",
        )
    if not isinstance(attributes, Mapping) or not all(isinstance(key, str) for key in attributes):
        raise RowError(
            f"the attributes of event {place} are {attributes!r:.60}", "write {name: value}", code="event_attributes"
        )
    for key, one in attributes.items():
        if not (one is None or isinstance(one, str | int | float | bool | np.generic)):
            raise RowError(
                f"the attribute {key!r} of event {place} is {one!r:.60}",
                "an attribute is a text, a number or null",
                code="event_attributes",
            )
    return Happening(name, moment, {key: one for key, one in attributes.items() if one is not None})


def _refuse_item(value: Any, place: int) -> NoReturn:
    if value is None or (isinstance(value, float) and value != value):
        raise RowError(f"event {place} has no item", "leave the event out, or name its item", code="no_item")
    if isinstance(value, str) and not value.strip():
        raise RowError(f"the item of event {place} is an empty text", "leave it out or name it", code="no_item")
    if isinstance(value, str):
        raise RowError(
            f"the item of event {place} has {len(value):,} characters; at most {LONGEST_NAME} are a name",
            "separate items by | or by spaces, or give them short names",
            code="long_item",
        )
    raise RowError(
        f"the item of event {place} is {value!r:.60} ({type(value).__name__})",
        "an item is a text or a whole number",
        code="not_item",
    )


def _require_order(events: Iterable[Happening]) -> None:
    """Times, where they are known, do not run backwards."""
    last = -float("inf")
    for place, event in enumerate(events, start=1):
        if event.time is None:
            continue
        if event.time < last:
            raise RowError(
                f"event {place} happened at {event.time:g}, before the one that stands ahead of it ({last:g})",
                "put the events in order of time",
                code="unordered",
            )
        last = event.time
