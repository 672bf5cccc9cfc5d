"""How many replicas a load needs: by what is offered, refused requests among it, and not by what waits.

What waits says how late it is; a queue that refuses is short however many are turned away.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UTILISATION = 0.7
"""Share of a replica's time that may be spoken for: at 0.7 a request waits about two others' time, at 0.9 nine."""

LONG, SHORT, STEADY = 10, 2, 3
"""Seconds: of the mean that a load is taken from, of the mean that sees a step early, and of a load that has lasted."""

BURST = 1.5
"""Growth that a load may bring about before it has lasted: one second of ten times the load is no reason for ten times
the replicas, which start when it is over."""

CALM = 60.0
"""Seconds that less must have been enough before replicas go."""


class Meter:
    """Counts what is offered, by the second.

    Args:
        clock: Seconds that never jump.

    >>> now = [0.0]
    >>> meter = Meter(lambda: now[0])
    >>> for second in range(12):
    ...     now[0] = second
    ...     meter.note(30)
    >>> meter.peak, meter.steady
    (30.0, 30)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: deque[tuple[int, float]] = deque(maxlen=LONG + 1)

    def note(self, rows: float) -> None:
        """So many rows were offered now."""
        now = int(self._clock())
        if self._seconds and self._seconds[-1][0] == now:
            rows += self._seconds.pop()[1]
        self._seconds.append((now, rows))

    @property
    def peak(self) -> float:
        """Rows a second: the larger of the means of a long and of a short time, without the second that runs."""
        return max(sum(self._last(LONG)) / LONG, sum(self._last(SHORT)) / SHORT)

    @property
    def steady(self) -> float:
        """Rows that came in each of the last seconds."""
        return min(self._last(STEADY))

    def _last(self, count: int) -> list[float]:
        kept, now = dict(self._seconds), int(self._clock())
        return [kept.get(second, 0.0) for second in range(now - count, now)]


@dataclass(frozen=True)
class Load:
    """What is offered, in replicas that it would keep busy all the time.

    Args:
        peak: By `Meter.peak`.
        steady: By `Meter.steady`.
    """

    peak: float
    steady: float


def decide(
    load: Load | None,
    past: Mapping[str, Any],
    *,
    target: int,
    least: int,
    most: int,
    now: float,
    calm: float = CALM,
) -> tuple[int, dict[str, Any]]:
    """How many replicas there should be, and what to remember.

    Up at once; down to the most that was needed within the calm, once that stays so for a while: in one step, though
    the load's mean comes down in several. Without a load nothing changes.

    Args:
        load: None: nobody knows.
        past: What was remembered; JSON data, empty at first.
        target: Replicas that there should be by the last decision, those that start among them.
        least: Replicas, at least.
        most: Replicas, at most.
        now: Seconds.
        calm: Seconds that less must have been enough.

    >>> decide(Load(1.5, 1.5), {}, target=1, least=1, most=4, now=0.0)[0]
    3
    """
    if load is None:
        return target, dict(past)
    need = min(max(math.ceil(load.peak / UTILISATION), least), most)
    needs = _kept(past.get("needs", ()), now, calm, need, max)
    targets = _kept(past.get("targets", ()), now, LONG, target, min)
    allowed = max(math.ceil(BURST * min(count for _, count in targets)), math.ceil(load.steady / UTILISATION))
    up = min(need, max(allowed, least))
    soon = now - calm + min(LONG, calm / 2)
    settled = max(count for _, count in needs)
    falling = settled > max(count for at, count in needs if at >= soon)
    found = up if up > target else target if falling else min(target, settled)
    return min(max(found, least), most), {"needs": needs, "targets": targets}


def _kept(
    pairs: Sequence[Sequence[float]], now: float, seconds: float, value: int, pick: Callable[[int, int], int]
) -> list[list[int]]:
    """A value a second, of the last so many seconds."""
    kept = [[int(at), int(count)] for at, count in pairs if now - seconds <= at <= now]
    if kept and kept[-1][0] == int(now):
        kept[-1][1] = pick(kept[-1][1], value)
        return kept
    return [*kept, [int(now), value]]
