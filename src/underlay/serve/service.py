"""One served model with its queue: a request's raw rows in, an answer a row out, or a refusal of the whole."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np

from underlay.core import Encoded
from underlay.serve.batching import Batcher, Pace, Row
from underlay.serve.limits import Limits
from underlay.serve.metrics import Metrics
from underlay.serve.records import NoRecords, Records
from underlay.serve.refusals import ClientGone, Refusal
from underlay.serve.served import Answer, Served

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

READERS = 2
"""Threads that read requests while the model answers others; tokenising and decoding leave Python's lock."""

MEASURED_SECONDS = 0.2
"""How long the model is asked before it serves, to know its pace."""


class Service:
    """What the endpoints share.

    Args:
        served: The model.
        limits: Of the server.
    """

    def __init__(self, served: Served, *, limits: Limits) -> None:
        self.served = served
        self.limits = limits
        self.draining = False
        self.records: Records = NoRecords()
        self.metrics = Metrics(served.targets, lambda: self.batcher.waiting)
        self.metrics.ready.set_function(lambda: float(self.ready))
        self.batcher = Batcher(served.answer, limits=limits, pace=measure(served), observe=self._observe)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome."""
        return not self.draining and self.batcher.alive and self.records.working

    @property
    def files(self) -> frozenset[str]:
        """Columns that take files."""
        return frozenset(self.served.bundle.file_columns)

    @property
    def body_bytes(self) -> int:
        """The largest body."""
        return max(self.limits.file_body_bytes, self.limits.body_bytes) if self.files else self.limits.body_bytes

    async def ask(
        self, rows: Mapping[str, Sequence[Any]], *, receive: Receive, deadline: float, place: Callable[[int], str]
    ) -> list[Answer]:
        """An answer a row, in their order.

        Args:
            rows: Raw values by column.
            receive: Of the request, which says when its sender leaves.
            deadline: Of the monotonic clock.
            place: Gives the JSON pointer to a row.

        Raises:
            Refusal: `overloaded`, `deadline_exceeded`, `draining`, or why a row cannot be answered.
            ClientGone: The sender left; rows that were not begun are dropped.
        """
        count = len(rows[self.served.columns[0]])
        self.batcher.admit(count, deadline=deadline)
        try:
            read = await asyncio.get_running_loop().run_in_executor(self._readers, self.served.read, rows)
            _refuse_first(read, place)
            waiting = self._rows(rows, cast("list[Mapping[str, Encoded]]", read), deadline)
            self.batcher.submit(waiting)
        finally:
            self.batcher.withdraw(count)
        outcomes = await self._outcomes([row.answer for row in waiting], receive, deadline)
        _refuse_first(outcomes, place)
        answers = cast("list[Answer]", outcomes)
        for answer in answers:
            self.metrics.answered(answer)
        return answers

    async def stop(self) -> None:
        """Refuse what waits and end the threads."""
        await self.batcher.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _rows(
        self, rows: Mapping[str, Sequence[Any]], read: Sequence[Mapping[str, Encoded]], deadline: float
    ) -> list[Row]:
        loop = asyncio.get_running_loop()
        positions = self.served.bundle.positions
        return [
            Row(
                {name: values[at] for name, values in rows.items()}, one, positions(one), deadline, loop.create_future()
            )
            for at, one in enumerate(read)
        ]

    async def _outcomes(
        self, answers: Sequence["asyncio.Future[Any]"], receive: Receive, deadline: float
    ) -> list[Answer | Refusal]:
        """What each row was told, unless time is up or the sender has left."""
        everything = asyncio.gather(*answers)
        everything.add_done_callback(_seen)
        gone = asyncio.ensure_future(_left(receive))
        try:
            waited: set[asyncio.Future[Any]] = {everything, gone}
            left = max(0.0, deadline - time.monotonic())
            await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                return everything.result()
            if gone.done():
                raise ClientGone
            raise Refusal("deadline_exceeded")
        finally:
            gone.cancel()
            everything.cancel()  # cancels each row that has no answer yet, and the queue drops it

    def _observe(self, rows: int, seconds: float) -> None:
        self.metrics.batch_rows.observe(rows)
        self.metrics.batch_seconds.observe(seconds)


def measure(served: Served) -> Pace:
    """The pace of a model on rows that it made itself, one after another.

    Args:
        served: A model that has proved itself.
    """
    rng = np.random.default_rng(0)
    rows = {name: [modality.probe(rng) for _ in range(8)] for name, modality in served.bundle.modalities.items()}
    pairs = [
        ({name: column[at] for name, column in rows.items()}, row)
        for at, row in enumerate(served.read(rows))
        if not isinstance(row, Refusal)
    ]
    positions = sum(served.bundle.positions(row) for _, row in pairs)
    started, asked = time.monotonic(), 0
    while asked == 0 or time.monotonic() - started < MEASURED_SECONDS:
        served.answer(pairs)
        asked += 1
    return Pace(asked * positions / max(time.monotonic() - started, 1e-6), positions / len(pairs))


def _refuse_first(found: Sequence[Any], place: Callable[[int], str]) -> None:
    """The first row that cannot be answered refuses the request: a half-answered one is easily taken for whole."""
    for number, one in enumerate(found):
        if isinstance(one, Refusal):
            raise one if one.status == 503 else one.within(place(number))


def _seen(everything: "asyncio.Future[Any]") -> None:
    """Take the error of rows that nobody waits for any more; asyncio would log it as one that nobody handled."""
    if not everything.cancelled():
        everything.exception()


async def _left(receive: Receive) -> None:
    """Return when the sender has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
