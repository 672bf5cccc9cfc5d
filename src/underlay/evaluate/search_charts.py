"""The picture of a search: quality beside time and size, the candidates that nothing beats, the targets as lines."""

from collections.abc import Iterable, Sequence
from typing import Literal

from markupsafe import Markup

from underlay.evaluate.axis import axis_over
from underlay.evaluate.contenders import Contender, Lost, Search, front
from underlay.evaluate.frame import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, Point, tag
from underlay.evaluate.wording import figure, in_sentence, metric_of

Cost = Literal["one_p50", "megabytes"]

TITLES = {"one_p50": "One row, ms (median)", "megabytes": "Size of the bundle, MB"}

LETTER = 6.6
"""Width of a letter of the labels, in the picture's units; a Chinese one takes two."""

LABEL = 13
"""Height of a line of them."""

PLACES = ((9, -8, "start"), (9, 15, "start"), (-9, -8, "end"), (-9, 15, "end"), (0, -13, "middle"), (0, 21, "middle"))
"""Where a label may stand from its dot, in the order of preference."""


def search_chart(search: Search, target: str, cost: Cost) -> Markup:
    """Quality of one target beside a cost: the original, every measured candidate, the chosen one, the targets.

    Args:
        search: What was tried.
        target: Whose quality.
        cost: What is along the bottom.
    """
    known = [(one, _lost(one, target)) for one in search.measured]
    original = _lost(search.original, target)
    shown, bound = metric_of(original.metric), _bound(original, search.targets.points)
    limit = search.targets.ms if cost == "one_p50" else search.targets.megabytes
    costs = [getattr(one, cost) for one, _ in known]
    x = axis_over([0.0, *costs, *([] if limit is None else [limit])], bounds=(0.0, float("inf")))
    ends = [lost.value for _, lost in known]
    ends += [end for one, lost in known if one.name == search.chosen for end in (lost.low, lost.high)]
    y = axis_over([*ends, bound], bounds=(0.0, 1.0) if shown.percent else (float("-inf"), float("inf")))
    unit = " (%)" if shown.percent else ""
    frame = Frame(x, y, titles=(TITLES[cost], f"{shown.title}{unit}"), percent=(False, shown.percent))
    parts = [_zone(frame, limit, bound, higher=shown.higher), *_bounds(frame, limit, bound)]
    best = front([one for one, _ in known], cost=cost, target=target)
    parts.append(frame.line([(getattr(one, cost), _lost(one, target).value) for one in best], "front"))
    labels = _Labels(frame, [frame.at(getattr(one, cost), lost.value) for one, lost in known])
    for one, lost in sorted(known, key=lambda each: _weight(search, each[0], best)):
        place, style = getattr(one, cost), _style(search, one, best)
        says = f"{one.name}: {figure(lost.metric, lost.value)}, {costs_in_words(one)}, {_verdict(search, one)}"
        if one.name == search.chosen:
            parts.append(frame.line([(place, lost.low), (place, lost.high)], "whisker"))
            parts.append(frame.dot(place, lost.value, style="ring", radius=8.5))
        parts.append(
            frame.dot(place, lost.value, style=f"dot {style}", radius=5.0 if style != "other" else 4.0, says=says)
        )
    for one, lost in sorted(known, key=lambda each: -_weight(search, each[0], best)):
        if one in best or one.name == search.chosen or one is search.original:
            parts.append(labels.put(getattr(one, cost), lost.value, _label(search, one)))
    named = f"{shown.title} of {target} beside {in_sentence(TITLES[cost])}, {len(known)} models"
    return frame.picture([part for part in parts if part], label=named)


def costs_in_words(one: Contender) -> str:
    """Time and size of a candidate."""
    return f"{one.one_p50:.2f} ms, {one.megabytes:.1f} MB"


def numbers(search: Search) -> dict[str, int]:
    """The number of each measured candidate in the picture and its table; the original has none."""
    return {one.name: place for place, one in enumerate(search.contenders, start=1)}


def rows_of(search: Search) -> list[tuple[str, Contender, str]]:
    """Every candidate for the table: its number, itself, its verdict."""
    return [
        (str(place), one, "chosen" if one.name == search.chosen else _verdict(search, one))
        for place, one in enumerate(search.contenders, start=1)
    ]


def _lost(one: Contender, target: str) -> Lost:
    return next(each for each in one.lost if each.target == target)


def _bound(original: Lost, points: float) -> float:
    """The figure below which, or of an error above which, too much is lost."""
    higher = metric_of(original.metric).higher
    return original.value - points / 100 if higher else original.value * (1 + points / 100)


def _zone(frame: Frame, limit: float | None, bound: float, *, higher: bool) -> Markup:
    """The corner in which both targets hold."""
    right, level = frame.at(frame.x.high if limit is None else limit, bound)
    top, bottom = (TOP, level) if higher else (level, HEIGHT - BOTTOM)
    size = {"width": max(right - LEFT, 0.0), "height": max(float(bottom - top), 0.0)}
    return tag("rect", tag("title", "here every target holds"), class_="zone", x=float(LEFT), y=float(top), **size)


def _bounds(frame: Frame, limit: float | None, bound: float) -> list[Markup]:
    """The targets as lines."""
    _, level = frame.at(frame.x.low, bound)
    found = [tag("line", class_="target", x1=LEFT, x2=WIDTH - RIGHT, y1=level, y2=level)]
    if limit is not None:
        right, _ = frame.at(limit, frame.y.low)
        found.append(tag("line", class_="target", x1=right, x2=right, y1=TOP, y2=HEIGHT - BOTTOM))
    return found


def _weight(search: Search, one: Contender, best: Sequence[Contender]) -> int:
    """What matters more is drawn later, and named first."""
    return (one in best) + 2 * (one is search.original) + 4 * (one.name == search.chosen)


def _style(search: Search, one: Contender, best: Sequence[Contender]) -> str:
    if one is search.original:
        return "original"
    return "model" if one.name == search.chosen or one in best else "other"


def _label(search: Search, one: Contender) -> str:
    return "original" if one is search.original else str(numbers(search)[one.name])


def _verdict(search: Search, one: Contender) -> str:
    return "the original" if one is search.original else one.verdict(search.targets)


class _Labels:
    """Texts beside dots, none over a dot, over another text or over the edge.

    Args:
        frame: Places them.
        dots: Where they are.
    """

    def __init__(self, frame: Frame, dots: Iterable[Point]) -> None:
        self.frame = frame
        self.taken = [(left - 5, top - 5, left + 5, top + 5) for left, top in dots]

    def put(self, x: float, y: float, text: str) -> Markup:
        """The text where there is room; nothing where there is none."""
        left, top = self.frame.at(x, y)
        width = LETTER * sum(2 if letter >= "\u2e80" else 1 for letter in text)
        for right, down, anchor in PLACES:
            start = left + right - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            box = (start, top + down - LABEL + 2, start + width, top + down + 2)
            if self._free(box):
                self.taken.append(box)
                return self.frame.words(x, y, text, anchor=anchor, shift=(right, down))
        return Markup("")

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        inside = box[0] >= LEFT and box[2] <= WIDTH - RIGHT and box[1] >= TOP - 8 and box[3] <= HEIGHT - BOTTOM
        apart = (box[2] <= one[0] or one[2] <= box[0] or box[3] <= one[1] or one[3] <= box[1] for one in self.taken)
        return inside and all(apart)
