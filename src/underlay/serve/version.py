"""One version of a model in memory with its queue: raw rows in, an answer a row out, or a refusal of the whole."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, cast

import numpy as np

from underlay.core import Encoded
from underlay.serve.batching import Batcher, Pace, Row
from underlay.serve.limits import Limits
from underlay.serve.refusals import ClientGone, Refusal
from underlay.serve.served import Answer, Served
from underlay.serve.tensors import column_tensor

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

PROBES = 8
"""Values a modality makes, from which its form is seen."""

MEASURED_SECONDS = 0.2
"""How long the model is asked before it serves, to know its pace."""


class Version:
    """A served bundle, its queue and who waits for it.

    Made in any thread; `start` and everything after belongs to the event loop.

    Args:
        served: The bundle.
        limits: Of the server.
        observe: Told the rows and seconds of each batch.
    """

    def __init__(self, served: Served, *, limits: Limits, observe: Callable[[int, float], None]) -> None:
        self.served = served
        self.inputs = inputs_of(served)
        self.changed = False
        self._limits = limits
        self._held = 0
        self._free = asyncio.Event()
        self._free.set()
        self.batcher = self._queue(measure(served), observe)

    def _queue(self, pace: Pace, observe: Callable[[int, float], None]) -> Batcher:
        """What rows wait in."""
        return Batcher(self.served.answer, limits=self._limits, pace=pace, observe=observe)

    @property
    def label(self) -> str:
        """What it is called in addresses."""
        return self.served.version

    @property
    def hung(self) -> bool:
        """Whether the model has worked on one batch for longer than any takes."""
        return self.batcher.busy_seconds > self._limits.hang_seconds

    @property
    def ready(self) -> bool:
        """Whether it would answer."""
        return self.batcher.alive and not self.hung

    @contextlib.contextmanager
    def held(self) -> Iterator["Version"]:
        """While somebody counts on its answer, it is not taken away."""
        self._held += 1
        self._free.clear()
        try:
            yield self
        finally:
            self._held -= 1
            if not self._held:
                self._free.set()

    def refuse_early(self) -> None:
        """Refuse before anything of a request is read, where it would not be answered whatever it asks.

        Raises:
            Refusal: `model_hangs`, `overloaded`.
        """
        if self.hung:
            raise Refusal("model_hangs", retry_after=self._limits.hang_seconds)
        self.batcher.refuse_if_full()

    async def ask(
        self,
        rows: Mapping[str, Sequence[Any]],
        *,
        receive: Receive,
        deadline: float,
        place: Callable[[int], str],
        readers: Executor,
    ) -> list[Answer]:
        """An answer a row, in their order.

        Args:
            rows: Raw values by column.
            receive: Of the request, which says when its sender leaves.
            deadline: Of the monotonic clock.
            place: Gives the JSON pointer to a row.
            readers: Threads that read rows.

        Raises:
            Refusal: `overloaded`, `deadline_exceeded`, `draining`, or why a row cannot be answered.
            ClientGone: The sender left; rows that were not begun are dropped.
        """
        count = len(rows[self.served.columns[0]])
        self.refuse_early()
        self.batcher.admit(count, deadline=deadline)
        try:
            reading = asyncio.get_running_loop().run_in_executor(readers, self.served.read, rows)
            try:
                read = await asyncio.wait_for(reading, max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise Refusal("deadline_exceeded") from None
            _refuse_first(read, place)
            waiting = self._rows(rows, cast("list[Mapping[str, Encoded]]", read), deadline)
            self.batcher.submit(waiting)
        finally:
            self.batcher.withdraw(count)
        outcomes = await wait_for_outcomes([row.answer for row in waiting], receive, deadline)
        _refuse_first(outcomes, place)
        return cast("list[Answer]", outcomes)

    async def leave(self, seconds: float) -> bool:
        """Answer everybody who counts on it, then end.

        Args:
            seconds: That they have; whoever waits longer is refused.

        Returns:
            Whether everybody was answered.
        """
        try:
            await asyncio.wait_for(self._free.wait(), seconds)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            await self.batcher.stop()

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


class Make(Protocol):
    """Makes versions."""

    def __call__(self, served: Served, *, limits: Limits, observe: Callable[[int, float], None]) -> Version:
        """As `Version` is made."""
        ...


def inputs_of(served: Served) -> dict[str, dict[str, Any]]:
    """How each column is sent as a tensor, by name: seen on values that its modality makes."""
    files, rng = served.bundle.file_columns, np.random.default_rng(0)
    return {
        name: column_tensor(name, [modality.probe(rng) for _ in range(PROBES)], file=name in files)
        for name, modality in served.bundle.modalities.items()
    }


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


async def wait_for_outcomes(
    answers: Sequence["asyncio.Future[Any]"], receive: Receive, deadline: float
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


def _refuse_first(found: Sequence[Any], place: Callable[[int], str]) -> None:
    """The first row that cannot be answered refuses the request: a half-answered one is easily taken for whole."""
    for number, one in enumerate(found):
        if isinstance(one, Refusal):
            raise one if one.status == 503 else one.within(place(number))


def _seen(everything: "asyncio.Future[Any]") -> None:
    """Take the error of rows that nobody waits for any more; asyncio would log it as one that nobody handled."""
    if not everything.cancelled():
        everything.exception()


async def stays() -> MutableMapping[str, Any]:
    """A `receive` whose sender never leaves: there is none, or somebody else watches it."""
    return await asyncio.Future()


async def _left(receive: Receive) -> None:
    """Return when the sender has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
