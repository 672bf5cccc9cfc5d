"""The curves of one task as an SVG file: test accuracy by rows, one line an arm."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor

from studies.language_as_foundation.comparisons import Interval

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 500, 40, 350
"""Of the plot; the names stand right of it."""

TICKS = 5
"""At most so many lines across."""

# Okabe and Ito's colours, which people who see two of the three primaries can tell apart; frozen arms are dashed.
STYLES: Mapping[str, tuple[str, str]] = {
    "language-frozen": ("#0072B2", "6 4"),
    "language-full": ("#0072B2", ""),
    "shuffled-frozen": ("#D55E00", "6 4"),
    "shuffled-full": ("#D55E00", ""),
    "random-frozen": ("#009E73", "6 4"),
    "random-full": ("#009E73", ""),
    "no-trunk": ("#000000", "2 3"),
    "native-classical": ("#CC79A7", "2 3"),
    "native-trunk": ("#CC79A7", ""),
}

Levels = Mapping[str, Sequence[tuple[int, Interval]]]
"""By arm: rows and accuracy, where all seeds are in."""


def draw(task: str, sizes: Sequence[int], levels: Levels, titles: Mapping[str, str]) -> str:
    """An SVG of all complete points.

    Args:
        task: Name.
        sizes: Of the training sets, evenly apart.
        levels: What is known.
        titles: Names of the arms for people.
    """
    ends = [one.middle + side * one.half for points in levels.values() for _, one in points for side in (-1, 1)]
    low, high, step = scale(min(ends), max(ends))
    across = {size: LEFT + 40 + index * (RIGHT - LEFT - 80) / (len(sizes) - 1) for index, size in enumerate(sizes)}

    def up(value: float) -> float:
        return BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)

    parts = [_text(LEFT, 22, f"{task}: test accuracy, mean and 95 % interval over five seeds", size=14)]
    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        parts += [
            f'<line x1="{LEFT}" y1="{up(value):.1f}" x2="{RIGHT}" y2="{up(value):.1f}" stroke="#dddddd"/>',
            _text(LEFT - 8, up(value) + 4, f"{100 * value:.0f} %", anchor="end"),
        ]
    parts += [_text(x, BOTTOM + 20, f"{size:,} rows", anchor="middle") for size, x in across.items()]
    for place, (arm, points) in enumerate(levels.items()):
        shift = 3 * (place - (len(levels) - 1) / 2)  # so that whiskers stand side by side
        spots = [(across[size] + shift, one) for size, one in points]
        parts += _curve(
            arm, [(x, up(one.middle), up(one.middle - one.half), up(one.middle + one.half)) for x, one in spots]
        )
        parts += _key(arm, titles[arm], TOP + 10 + 24 * place)
    body = "\n".join(parts)
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    return f'{opening} font-family="sans-serif">\n<rect {size} fill="white"/>\n{body}\n</svg>\n'


def scale(low: float, high: float) -> tuple[float, float, float]:
    """Round ends around both, and the step between lines.

    >>> scale(0.52, 0.88)
    (0.5, 0.9, 0.1)
    """
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        if last - first <= TICKS:
            break
    return round(first * step, 6), round(max(last, first + 1) * step, 6), step


def _curve(arm: str, points: Sequence[tuple[float, float, float, float]]) -> list[str]:
    colour, dash = STYLES[arm]
    path = " ".join(f"{x:.1f},{middle:.1f}" for x, middle, _, _ in points)
    drawn = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>']
    for x, middle, bottom, top in points:
        drawn += [
            f'<line x1="{x:.1f}" y1="{bottom:.1f}" x2="{x:.1f}" y2="{top:.1f}" stroke="{colour}"/>',
            f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="3" fill="{colour}"/>',
        ]
    return drawn


def _key(arm: str, title: str, y: float) -> list[str]:
    colour, dash = STYLES[arm]
    x = RIGHT + 16
    line = (
        f'<line x1="{x}" y1="{y}" x2="{x + 30}" y2="{y}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
    )
    return [line, _text(x + 38, y + 4, title.replace("native: ", ""))]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#222222">{escape(words)}</text>'
    )
