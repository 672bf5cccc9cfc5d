"""What runs on a replica: one bundle with its own queue, as on one machine; it hears from fronts what is offered."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay.bundle import open_bundle
from underlay.core import BundleRefused
from underlay.serve.batching import MEMORY, Pace
from underlay.serve.limits import Limits
from underlay.serve.ray.cluster import cores
from underlay.serve.ray.law import Load
from underlay.serve.ray.scaling import PEAK, STEADY
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Served
from underlay.serve.service import READERS
from underlay.serve.version import Version, stays

STALE = 15.0
"""Seconds after which a front that was not heard of counts no more: the time that it has for two notes, and some."""


COST_ROWS = 64
"""Rows after which their cost is worked out; what the process does beside them is little among so many."""


@dataclass(frozen=True)
class Source:
    """Which bundle a replica answers from.

    Args:
        name: Of the model.
        folder: Of the bundle, the same on every machine.
        label: Of the version.
        seal: That the bundle has; another one is refused.
    """

    name: str
    folder: str
    label: str | None
    seal: str

    def open(self) -> Served:
        """The bundle, proved by its golden rows.

        Raises:
            BundleRefused: `bundle_changed`, or it does not answer as it did.
        """
        served = Served(self.name, open_bundle(Path(self.folder)), self.label)
        if served.seal != self.seal:
            raise BundleRefused(
                f"{self.folder} has the seal {served.seal[:12]} on this machine, and {self.seal[:12]} where it is "
                "served from",
                "put the same bundle on every machine, in a folder of its own for each version",
                code="bundle_changed",
            )
        return served


@dataclass(frozen=True)
class Told:
    """What a replica says to one request.

    Args:
        answers: A row each, or why there is none; of a bad row the field begins with its number.
        row_seconds: That the replica takes for a row.
    """

    answers: list[Answer] | Refusal
    row_seconds: float


class Cost:
    """Seconds of computing that a row takes in this process, by all its threads.

    Args:
        clock: Of the process's computing.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._at = clock()
        self._rows = 0
        self.seconds = 0.0

    def note(self, rows: int) -> None:
        """So many rows were answered."""
        self._rows += rows
        if self._rows >= COST_ROWS:
            now = self._clock()
            found = (now - self._at) / self._rows
            self.seconds += (MEMORY if self.seconds else 1.0) * (found - self.seconds)
            self._at, self._rows = now, 0


class Replica:
    """Answers rows; Ray makes one in a process of its own.

    Args:
        source: The bundle.
        limits: Of the server.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self._limits = limits
        self._version = Version(source.open(), limits=limits, observe=lambda rows, seconds: None)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._heard: dict[str, tuple[float, Load]] = {}
        self._cost = Cost()

    async def answer(self, rows: Mapping[str, Sequence[Any]], seconds: float) -> Told:
        """An answer a row, or a refusal of all.

        Args:
            rows: Raw values by column.
            seconds: Until nobody waits any more; clocks of two machines differ, so that a time would mean nothing.
        """
        self._begin()
        with self._version.held():
            try:
                answers = await self._version.ask(
                    rows, receive=stays, deadline=time.monotonic() + seconds, place=str, readers=self._readers
                )
            except Refusal as refusal:
                return Told(refusal, self._row_seconds())
        self._cost.note(len(answers))
        return Told(answers, self._row_seconds())

    async def note(self, front: str, load: Load) -> tuple[float, list[str]]:
        """Hear what one front is offered; tells the seconds of a row and which fronts there are.

        Args:
            front: Its name.
            load: In replicas.
        """
        self._begin()
        self._heard[front] = (time.monotonic(), load)
        return self._row_seconds(), sorted(self._fresh())

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What Ray Serve passes on to the law, by front; nothing where nobody was heard of lately."""
        fresh = self._fresh().items()
        return {PEAK + front: load.peak for front, load in fresh} | {
            STEADY + front: load.steady for front, load in fresh
        }

    async def check_health(self) -> None:
        """Raise where a new process is better: the queue has ended, or the model works on a batch for ever."""
        self._begin()
        if not self._version.ready:
            raise RuntimeError("the model hangs" if self._version.hung else "the queue has ended")

    def _begin(self) -> None:
        """Start the queue in the loop that asks first; there is one a process."""
        if not self._version.batcher.alive:
            self._version.batcher.start()

    def _row_seconds(self) -> float:
        """Of the model, or of all that this process computes where that is more: reading may cost more than a model."""
        pace: Pace = self._version.batcher.pace
        return max(pace.seconds(pace.size), self._cost.seconds / cores())

    def _fresh(self) -> dict[str, Load]:
        now = time.monotonic()
        self._heard = {front: heard for front, heard in self._heard.items() if now - heard[0] < STALE}
        return {front: load for front, (_, load) in self._heard.items()}
