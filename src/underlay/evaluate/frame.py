"""A plot's frame as inline SVG: two axes, a grid, and a way to place things between them.

Colours are classes of the page's style sheet, so a picture follows light and dark and prints.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from underlay.evaluate.axis import Axis

WIDTH, HEIGHT = 520, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 14, 46

Point = tuple[float, float]


def tag(name: str, text: str | Markup = "", /, **attributes: str | float) -> Markup:
    """One element; attributes and text are escaped, `class_` is `class`, `_` in names is `-`.

    >>> tag("text", "a < b", class_="tick", x=1.25)
    Markup('<text class="tick" x="1.2">a &lt; b</text>')
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), f"{value:.1f}" if isinstance(value, float) else value
        )
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, text)


class Frame:
    """Axes, and values -> pixels.

    Args:
        x: Along the bottom.
        y: Along the left side.
        titles: Of x and y, with their units.
        percent: Whether x and y are shares shown in per cent.
    """

    def __init__(self, x: Axis, y: Axis, *, titles: tuple[str, str], percent: tuple[bool, bool]) -> None:
        self.x, self.y, self.titles, self.percent = x, y, titles, percent

    def at(self, x: float, y: float) -> Point:
        """Pixels of a pair of values."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        return LEFT + self.x.place(x) * (right - LEFT), bottom - self.y.place(y) * (bottom - TOP)

    def line(self, points: Iterable[Point], style: str) -> Markup:
        """A line through values."""
        placed = " ".join(f"{left:.1f},{top:.1f}" for left, top in (self.at(*point) for point in points))
        return tag("polyline", class_=style, points=placed)

    def dot(self, x: float, y: float, *, style: str, radius: float = 3.5, says: str = "") -> Markup:
        """A dot that says something on hovering."""
        left, top = self.at(x, y)
        return tag("circle", tag("title", says) if says else "", class_=style, cx=left, cy=top, r=float(radius))

    def words(self, x: float, y: float, text: str, *, anchor: str = "start", shift: Point = (0, 0)) -> Markup:
        """Text beside a pair of values."""
        left, top = self.at(x, y)
        return tag("text", text, class_="note", x=left + shift[0], y=top + shift[1], text_anchor=anchor)

    def picture(self, parts: Sequence[Markup], *, label: str) -> Markup:
        """The whole SVG; `label` is what a screen reader says."""
        inside = Markup("").join([*self._y_axis(), *self._x_axis(), *parts])
        return tag("svg", inside, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)

    def _y_axis(self) -> list[Markup]:
        drawn = []
        for tick in self.y.ticks:
            _, top = self.at(self.x.low, tick)
            label = self.y.label(tick, percent=self.percent[1])
            drawn.append(tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=top, y2=top))
            drawn.append(tag("text", label, class_="tick", x=LEFT - 8, y=top + 4, text_anchor="end"))
        middle = (TOP + HEIGHT - BOTTOM) / 2
        place = f"translate(11 {middle:.0f}) rotate(-90)"
        return [*drawn, tag("text", self.titles[1], class_="title", transform=place, text_anchor="middle")]

    def _x_axis(self) -> list[Markup]:
        bottom = HEIGHT - BOTTOM
        drawn = [tag("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom)]
        for tick in self.x.ticks:
            left, _ = self.at(tick, self.y.low)
            label = self.x.label(tick, percent=self.percent[0])
            drawn.append(tag("text", label, class_="tick", x=left, y=bottom + 18, text_anchor="middle"))
        middle = (LEFT + WIDTH - RIGHT) / 2
        return [*drawn, tag("text", self.titles[0], class_="title", x=middle, y=HEIGHT - 7, text_anchor="middle")]
