"""A version whose replicas answer: this process takes requests in as on one machine, and asks one of them."""

import asyncio
import contextlib
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from underlay.core import UsageError
from underlay.serve.batching import MEMORY, Batcher, Pace
from underlay.serve.limits import Limits
from underlay.serve.ray.law import Load, Meter
from underlay.serve.ray.replica import Source, Told
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Served, log_failure
from underlay.serve.version import Receive, Version, wait_for_outcomes

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

BEAT = 1.0
"""Seconds between two notes to the replicas of what is offered."""

NOTE_SECONDS = 5.0
"""For the answers to a note. One replica that hangs, or a machine that is busy, is no sign that there are none."""

MISSED = 3
"""Notes in a row that found no replica, after which there are none."""

TRIES = 3
"""Replicas that one request may see die: more, and it is likely what kills them."""

AGAIN = (0.02, 0.5)
"""Seconds until another replica is asked, at first and at most; it doubles."""

FRONT = token_hex(4)
"""Name of this process among those that ask the same replicas."""


@dataclass(frozen=True)
class Deployed:
    """How a version gets its replicas.

    Args:
        begin: Gives the handle of replicas of a bundle; returns when they answer.
        end: Lets them go, when no front asks them any more.
    """

    begin: Callable[[Source, Limits], "DeploymentHandle[Any]"]
    end: Callable[[Source], None]


class Replicas(Batcher):
    """What waits at replicas, seen from the front: bounded by the same rule, divided by how many there are.

    Args:
        source: Their bundle.
        limits: Of the server.
        pace: As this machine measured it, until they tell theirs.
        deployed: How they are had.
    """

    def __init__(self, source: Source, *, limits: Limits, pace: Pace, deployed: Deployed) -> None:
        super().__init__(_nobody, limits=limits, pace=pace)
        self.handle = deployed.begin(source, limits)
        self._deployed = deployed
        self.meter = Meter()
        self.count = 1
        self.row_seconds = pace.seconds(pace.size)
        self._source = source
        self._missed = 0
        self._over = asyncio.Event()
        self._fronts: list[str] = [FRONT]

    @property
    def alive(self) -> bool:
        """Whether there are replicas, as far as the last notes tell."""
        return super().alive and self._missed < MISSED

    @property
    def load(self) -> Load:
        """What is offered here, in replicas."""
        return Load(self.meter.peak * self.row_seconds, self.meter.steady * self.row_seconds)

    def answered(self) -> None:
        """A replica has answered, so there is one."""
        self._missed = 0

    async def stop(self) -> None:
        """Ask nothing more; the last front takes the replicas along."""
        self._over.set()  # a note that is on its way comes back first: Ray complains of one that is cut off
        if self._work is not None:
            await asyncio.wait([self._work], timeout=NOTE_SECONDS + BEAT)
        await super().stop()
        if self._fronts == [FRONT]:
            await asyncio.to_thread(self._deployed.end, self._source)

    def _wait(self) -> float:
        """Seconds until the replicas have done what waits: what they hold, but for the batch that each works on."""
        batch = min(self._limits.batch_rows, math.ceil(self._limits.batch_positions / self.pace.size))
        waiting = max(0, self._promised - self.count * batch)
        return waiting * self.row_seconds / max(1, self.count)

    async def _run(self) -> None:
        """Note what is offered on every replica, and hear how many there are."""
        while not self._over.is_set():
            try:
                said = await self.handle.broadcast("note", FRONT, self.load).results_async(
                    timeout_s=NOTE_SECONDS, return_exceptions=True
                )
                heard = [one for one in said if not isinstance(one, BaseException)]
                self._missed = 0 if heard else self._missed + 1
            except TimeoutError:
                heard = []
            except Exception:  # noqa: BLE001 - whatever Ray says, there is nobody to tell
                heard = []
                self._missed += 1
            if heard:
                self.count = len(heard)
                self._fronts = sorted({front for _, fronts in heard for front in fronts})
                self.row_seconds = statistics.median(seconds for seconds, _ in heard)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), BEAT)


class RemoteVersion(Version):
    """As `Version`, but for who answers. Made in any thread; returns when the least replicas answer.

    Args:
        served: The bundle, proved here too: columns, targets and documents are told from it.
        limits: Of the server.
        deployed: How it gets its replicas.
        observe: Would be told of batches, which are made elsewhere: never called.
    """

    batcher: Replicas

    def __init__(
        self, served: Served, *, limits: Limits, deployed: Deployed, observe: Callable[[int, float], None]
    ) -> None:
        self._deployed = deployed
        super().__init__(served, limits=limits, observe=observe)

    def _queue(self, pace: Pace, observe: Callable[[int, float], None]) -> Replicas:
        served = self.served
        if served.bundle.path is None:
            raise UsageError(f"{served.name} lies in no folder", "save it first: replicas read it", code="no_folder")
        source = Source(served.name, str(served.bundle.path.resolve()), served.label, served.seal)
        return Replicas(source, limits=self._limits, pace=pace, deployed=self._deployed)

    def refuse_early(self) -> None:
        """Refuse before anything of a request is read.

        Raises:
            Refusal: `no_replica`, `overloaded`; counted as offered, or the law would not hear of it.
        """
        try:
            if not self.batcher.alive:
                raise Refusal("no_replica")
            self.batcher.refuse_if_full()
        except Refusal:
            self.batcher.meter.note(1)
            raise

    async def ask(
        self,
        rows: Mapping[str, Sequence[Any]],
        *,
        receive: Receive,
        deadline: float,
        place: Callable[[int], str],
        readers: Executor,
    ) -> list[Answer]:
        """As `Version.ask`: the same answers and the same refusals."""
        count = len(rows[self.served.columns[0]])
        self.batcher.meter.note(count)
        self.batcher.admit(count, deadline=deadline)
        try:
            asked = asyncio.ensure_future(self._told(rows, deadline))
            await wait_for_outcomes([asked], receive, deadline)
            answers = asked.result()
        finally:
            self.batcher.withdraw(count)
        if isinstance(answers, Refusal):
            raise _placed(answers, place)
        return answers

    async def _told(self, rows: Mapping[str, Sequence[Any]], deadline: float) -> list[Answer] | Refusal:
        """What a replica says. One that ends meanwhile is no reason to fail: asking again does nothing twice."""
        from ray.exceptions import ActorDiedError, RayError
        from ray.serve.exceptions import BackPressureError, RayServeException

        died, pause = 0, AGAIN[0]
        while (left := deadline - time.monotonic()) > 0:
            response: Any = self.batcher.handle.answer.remote(rows, left)
            try:
                told: Told = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except BackPressureError:
                return Refusal("overloaded")
            except (RayError, RayServeException) as error:
                died += isinstance(error, ActorDiedError)
                if died >= TRIES:
                    log_failure("replica_died", error)
                    return Refusal("no_replica")
                await asyncio.sleep(pause)
                pause = min(2 * pause, AGAIN[1])
            else:
                self.batcher.answered()
                self.batcher.row_seconds += MEMORY * (told.row_seconds - self.batcher.row_seconds)
                return told.answers
        return Refusal("deadline_exceeded")


def _placed(refusal: Refusal, place: Callable[[int], str]) -> Refusal:
    """A refusal of a row with the place that its number has in this request."""
    if refusal.field is None or refusal.status == 503:
        return refusal
    number, slash, rest = refusal.field.partition("/")
    refusal.field = place(int(number)) + slash + rest
    return refusal


def _nobody(rows: Sequence[Any]) -> Sequence[Any]:
    raise AssertionError(f"{len(rows)} rows were asked here; replicas answer")
