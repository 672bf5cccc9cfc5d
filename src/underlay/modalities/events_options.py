"""What a recipe may say about how events are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from underlay.core import RecipeError
from underlay.modalities.options import option_names, unknown_options

LONG = ("head-tail", "recent", "windows", "head")
EMPTY = ("read", "refuse")
MOST_ITEMS = 10_000_000


@dataclass(frozen=True)
class EventsAugmentation:
    """How far `augment` goes; each time it does one of the three, as far as its share says.

    Args:
        crop: Largest share of the events cut off at the two ends together.
        mask: Largest share of events that are hidden.
        reorder: Largest share of events, side by side, that change their order.
    """

    crop: float = 0.3
    mask: float = 0.2
    reorder: float = 0.2


@dataclass(frozen=True)
class EventsOptions:
    """How events are read.

    Args:
        max_length: Most events of a segment, or `auto`: from the training rows.
        long: What happens to longer rows: `recent` (the newest are kept; the recipe's usual `head-tail` means that
            here), `windows` (several segments, the newest last) or `head`.
        windows: At most this many segments where `long` is `windows`.
        min_count: Rows that must hold an item for it to be known by its name.
        most_items: Items known by name, the most frequent ones.
        times: Whether the time between events is read; `auto`: where most training rows have times.
        attributes: Whether attributes are read; `auto`: where most events have them.
        repeats: Whether what happened before may be what happens next; `auto`: where the training rows show it.
        empty: Whether a row without any event can be read; `refuse` sets it aside.
        cloze: Whether a hidden event stands behind the last one, where what happens next is read: for trunks that read
            both ways. Each position answers for its own event then, and for the next one otherwise.
        augment: How far the augmentation goes.

    >>> EventsOptions.read({"min_count": 5}).min_count
    5
    """

    max_length: int | Literal["auto"] = "auto"
    long: str = "head-tail"
    windows: int = 8
    min_count: int = 1
    most_items: int = 100_000
    times: bool | Literal["auto"] = "auto"
    attributes: bool | Literal["auto"] = "auto"
    repeats: bool | Literal["auto"] = "auto"
    empty: str = "read"
    cloze: bool = False
    augment: EventsAugmentation = field(default_factory=EventsAugmentation)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "EventsOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        rates = options.get("augment") or {}
        if isinstance(rates, EventsAugmentation):
            rates = vars(rates)
        if not isinstance(rates, Mapping):
            raise RecipeError([f"events.augment is {rates!r}; it is a mapping of {option_names(EventsAugmentation)}"])
        problems = unknown_options(options, cls, "events") + unknown_options(
            rates, EventsAugmentation, "events.augment"
        )
        if problems:
            raise RecipeError(problems)
        chosen = cls(**{**options, "augment": EventsAugmentation(**rates)})
        problems = chosen._problems()
        if problems:
            raise RecipeError(problems)
        return chosen

    def _problems(self) -> list[str]:
        least = {"windows": 1, "min_count": 1, "most_items": 1}
        if self.max_length != "auto":
            least["max_length"] = 1
        found = [
            f"events.{name} is {value!r}; it must be a whole number of at least {low}"
            for name, low in least.items()
            for value in [getattr(self, name)]
            if type(value) is not int or not low <= value <= MOST_ITEMS
        ]
        for name, known in (("long", LONG), ("empty", EMPTY)):
            if getattr(self, name) not in known:
                found.append(f"events.{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        switches = {"times": "auto, ", "attributes": "auto, ", "repeats": "auto, ", "cloze": ""}
        found += [
            f"events.{name} is {value!r}; it must be {also}true or false"
            for name, also in switches.items()
            for value in [getattr(self, name)]
            if not (isinstance(value, bool) or (also and value == "auto"))
        ]
        for name, rate in vars(self.augment).items():
            if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
                found.append(f"events.augment.{name} is {rate!r}; it must be from 0 up to 1")
        return found
