"""From values to places on a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10


@dataclass(frozen=True)
class Axis:
    """A range of values with round ticks.

    Args:
        low: Left or lower end.
        high: Right or upper end; > low.
        ticks: Round values within.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one, never outside."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def label(self, tick: float, *, percent: bool = False) -> str:
        """The tick as text, with the decimals its step asks for."""
        scale = 100 if percent else 1
        step = (self.ticks[1] - self.ticks[0]) * scale if len(self.ticks) > 1 else 1
        digits = max(0, min(6, -floor(log10(step) + 1e-9)))
        if abs(tick) >= 10_000 and step >= 1_000 and not percent:
            return f"{tick / 1000:,.{1 if step % 1_000 else 0}f}k".replace("-", "\N{MINUS SIGN}")
        text = f"{tick * scale:,.{digits}f}"
        return text.replace("-", "\N{MINUS SIGN}") if text.strip("-0.,") else text.lstrip("-")


def axis_over(
    values: Iterable[float], *, ticks: int = 5, bounds: tuple[float, float] = (float("-inf"), float("inf"))
) -> Axis:
    """An axis that holds all finite values, its ends on round numbers where `bounds` allow.

    >>> axis_over([0.48, 0.87], bounds=(0, 1)).ticks
    (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """
    known = [value for value in values if isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-12):
        pad = abs(low) * 0.1 if abs(low) > 1e-9 else 0.5
        low, high = max(low - pad, bounds[0]), min(high + pad, bounds[1])
    step = _round_step((high - low) / ticks)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    digits = 2 - floor(log10(step))
    places = [round(number * step, digits) for number in range(first, last + 1)]
    inside = tuple(place for place in places if bounds[0] <= place <= bounds[1])
    return Axis(max(first * step, bounds[0]), min(last * step, bounds[1]), inside)


def _round_step(raw: float) -> float:
    size = 10.0 ** floor(log10(raw))
    return next((step * size for step in (1, 2, 5) if raw <= step * size * 1.0001), 10 * size)
