"""How often a key may ask: at most so many requests a second for long, and so many a day."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable

from underlay.core import UsageError
from underlay.serve.keys import Key
from underlay.serve.limits import Limits
from underlay.serve.quotas import Quotas
from underlay.serve.refusals import Refusal

BURST_SECONDS = 2.0
"""A key that was quiet may ask at once what it may ask in so many seconds."""

BUCKETS = 65_536
"""Keys whose pace is remembered; who has not asked for longest is forgotten first, and begins with a full bucket."""

_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)/(s|min|h)", re.ASCII)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3_600.0}


def parse_rate(text: str) -> float:
    """Requests a second.

    Args:
        text: `NUMBER/s`, `NUMBER/min` or `NUMBER/h`.

    Raises:
        UsageError: `rate`.

    >>> parse_rate("10/s"), parse_rate("30/min")
    (10.0, 0.5)
    """
    found = _RATE.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise UsageError(f"a rate cannot be {text!r:.60}", "give one as 10/s, 30/min or 100/h", code="rate")
    return float(found[1]) / _SECONDS[found[2]]


class Allowances:
    """What keys have left.

    Args:
        limits: Of keys that have none of their own.
        quotas: Counts by day.
        clock: Seconds that never jump.
    """

    def __init__(self, limits: Limits, quotas: Quotas, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._quotas = quotas
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: Key) -> None:
        """Count one request.

        Raises:
            Refusal: `rate_limited`, `quota_exceeded`, `quota_unknown`.
        """
        rate = self._limits.key_rate if key.rate is None else key.rate
        now = self._clock()
        burst = max(1.0, rate * BURST_SECONDS)
        left, since = self._buckets.pop(key.id, (burst, now))
        left = min(burst, left + (now - since) * rate)
        granted = left >= 1.0
        self._buckets[key.id] = (left - granted, now)
        while len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        if not granted:
            raise Refusal("rate_limited", retry_after=(1.0 - left) / rate)
        if not self._quotas.take(key.id, self._limits.key_daily if key.daily is None else key.daily):
            raise Refusal("quota_exceeded", retry_after=self._quotas.seconds_left())

    def give_back(self, key: Key) -> None:
        """Uncount a request of today that was not answered through our fault, or had been answered before."""
        self._quotas.give_back(key.id)

    def close(self) -> None:
        """Write what is counted."""
        self._quotas.close()
