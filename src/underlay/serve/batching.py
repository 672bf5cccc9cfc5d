"""Rows of many requests -> batches within a budget of positions; what waits is bounded and knows its deadline."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from underlay.core import Encoded
from underlay.serve.limits import Limits
from underlay.serve.model_thread import ModelThread
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Values, log_failure

LEAST_WAITING = 8
"""Rows that may wait however slow the model is, so that it always has a next batch."""

MEMORY = 0.2
"""Weight of the newest batch in what is known of the model's pace."""

Outcome = Answer | Refusal


@dataclass(eq=False)
class Row:
    """One row on its way. Its answer comes back by itself, not by its place among others.

    Args:
        values: Raw, by column.
        encoded: As the model reads them.
        positions: That it takes of a batch.
        deadline: Of the clock; after it nobody waits.
        answer: What it is told.
        arrived: Of the clock.
    """

    values: Values
    encoded: Mapping[str, Encoded]
    positions: int
    deadline: float
    answer: "asyncio.Future[Outcome]"
    arrived: float = field(default_factory=time.monotonic)


@dataclass
class Pace:
    """How fast the model is, from its latest batches.

    Args:
        rate: Positions a second.
        size: Positions of a row.
    """

    rate: float
    size: float

    def note(self, rows: int, positions: int, seconds: float) -> None:
        """Take one more batch into account."""
        self.rate += MEMORY * (positions / max(seconds, 1e-6) - self.rate)
        self.size += MEMORY * (positions / rows - self.size)

    def seconds(self, positions: float) -> float:
        """That so many positions take."""
        return positions / self.rate


class Batcher:
    """A bounded queue before one model, which answers in a thread of its own.

    Args:
        answer: Answers rows in their order; called in that thread, one batch at a time.
        limits: Of the server.
        pace: Measured before.
        observe: Told the rows and seconds of each batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[tuple[Values, Mapping[str, Encoded]]]], Sequence[Outcome]],
        *,
        limits: Limits,
        pace: Pace,
        observe: Callable[[int, float], None] = lambda rows, seconds: None,
    ) -> None:
        self._answer = answer
        self._limits = limits
        self._observe = observe
        self.pace = pace
        self._queue: deque[Row] = deque()
        self._positions = 0
        self._promised = 0
        self._working: list[Row] = []
        self._arrived = asyncio.Event()
        self._thread = ModelThread("model")
        self._began: float | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Rows that wait, those being read among them."""
        return len(self._queue) + self._promised

    @property
    def fullness(self) -> float:
        """How full the queue is: at 1 the next request is refused."""
        waited = self._wait() / self._limits.queue_seconds if self.waiting >= LEAST_WAITING else 0.0
        return max(self.waiting / self._limits.queue_rows, waited)

    @property
    def alive(self) -> bool:
        """Whether rows that are submitted will be answered."""
        return self._work is not None and not self._work.done()

    @property
    def busy_seconds(self) -> float:
        """How long the model has worked on its present batch; 0 if it has none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def start(self) -> None:
        """Begin to answer; needs a running loop."""
        self._work = asyncio.get_running_loop().create_task(self._run())

    def refuse_if_full(self) -> None:
        """Refuse before anything of a request is read, where it would wait too long whatever it asks.

        Raises:
            Refusal: `overloaded`.
        """
        wait = self._wait()
        if self.waiting >= LEAST_WAITING and wait > self._limits.queue_seconds:
            raise Refusal("overloaded", retry_after=wait)

    def admit(self, rows: int, *, deadline: float) -> None:
        """Promise room for rows that are about to be read.

        Args:
            rows: How many.
            deadline: Of the clock.

        Raises:
            Refusal: `overloaded`: they would be answered too late, or too many wait.
        """
        self.refuse_if_full()
        waiting, wait = self.waiting, self._wait()
        too_many = waiting > 0 and waiting + rows > self._limits.queue_rows
        if too_many or time.monotonic() + wait > deadline:
            raise Refusal("overloaded", retry_after=wait)
        self._promised += rows

    def withdraw(self, rows: int) -> None:
        """Give up room that `admit` promised, whether or not the rows were submitted."""
        self._promised -= rows

    def submit(self, rows: Sequence[Row]) -> None:
        """Queue rows for which there is room."""
        self._queue.extend(rows)
        self._positions += sum(row.positions for row in rows)
        self._arrived.set()

    def refuse_all(self, code: str) -> None:
        """Tell everybody who waits that there will be no answer."""
        while self._queue:
            self._tell(self._pop(), Refusal(code))

    async def stop(self) -> None:
        """Answer nothing more: what waits is refused, and so is what the model works on, which it finishes unheard."""
        self.refuse_all("draining")
        for row in self._working:
            self._tell(row, Refusal("draining"))
        work, self._work = self._work, None  # a cancelled task holds its frames, and they would hold the model
        if work is not None:
            work.cancel()
            await asyncio.wait([work])
        self._thread.close()

    def _wait(self) -> float:
        """Seconds until the model has done what waits."""
        return self.pace.seconds(self._positions + self._promised * self.pace.size)

    async def _run(self) -> None:
        while True:
            await self._gathered()
            self._working = batch = self._batch()
            if not batch:
                continue
            self._began = started = time.monotonic()
            asked = [(row.values, row.encoded) for row in batch]
            try:
                outcomes = await asyncio.wrap_future(self._thread.submit(self._answer, asked))
                if len(outcomes) != len(batch):
                    raise RuntimeError(f"{len(batch)} rows got {len(outcomes)} answers")
            except Exception as error:  # noqa: BLE001 - one broken batch must not end all that follow
                log_failure("batch_failed", error)
                outcomes = [Refusal("bug")] * len(batch)
            self._began, seconds = None, time.monotonic() - started
            self.pace.note(len(batch), sum(row.positions for row in batch), seconds)
            self._observe(len(batch), seconds)
            for row, outcome in zip(batch, outcomes, strict=True):
                self._tell(row, outcome)

    async def _gathered(self) -> None:
        """Return when there is a batch: full, or its first row has waited long enough."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        until = self._queue[0].arrived + self._limits.batch_wait_seconds
        while self._queue and not self._full() and (left := until - time.monotonic()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return

    def _full(self) -> bool:
        return self._positions >= self._limits.batch_positions or len(self._queue) >= self._limits.batch_rows

    def _batch(self) -> list[Row]:
        """The oldest rows that somebody still waits for, within the budget, or one."""
        batch: list[Row] = []
        taken = 0
        while self._queue and len(batch) < self._limits.batch_rows:
            if batch and taken + self._queue[0].positions > self._limits.batch_positions:
                break
            row = self._pop()
            if row.answer.done() or row.deadline <= time.monotonic():
                continue
            taken += row.positions
            batch.append(row)
        return batch

    def _pop(self) -> Row:
        row = self._queue.popleft()
        self._positions -= row.positions
        return row

    @staticmethod
    def _tell(row: Row, outcome: Any) -> None:
        if not row.answer.done():
            row.answer.set_result(outcome)
