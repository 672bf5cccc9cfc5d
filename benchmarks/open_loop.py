"""Requests that leave when their time has come, whatever became of those before; timed from that instant.

A generator that waits for answers asks less the slower they come, and measures its own patience.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

CONNECTIONS = 256
"""Open at most; a request that finds none waits, and its waiting is counted."""

ENOUGH = {"p50": 200, "p99": 10_000, "p999": 100_000}
"""Answers below which a percentile is not told: p99 of 10,000 lies among the ranks 9,880 to 9,920."""


@dataclass
class Seen:
    """What a schedule brought.

    Args:
        seconds: From the instant a request was due to its last byte, of those answered with 200.
        refused: Seconds of those answered with 503 or 429.
        failed: Status or error of all others.
        lag: Seconds that requests left after they were due, which is the generator's own fault.
        lasted: Seconds of it all.
    """

    seconds: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    lasted: float = 0.0

    def figures(self, rows: int) -> dict[str, float | None]:
        """Rates and percentiles, in rows a second and milliseconds; None: too few for it.

        Args:
            rows: Of one request.
        """
        asked = len(self.seconds) + len(self.refused) + len(self.failed)
        return {
            "offered": asked * rows / self.lasted,
            "answered": len(self.seconds) * rows / self.lasted,
            "p50": percentile(self.seconds, 50.0, ENOUGH["p50"]),
            "p99": percentile(self.seconds, 99.0, ENOUGH["p99"]),
            "p999": percentile(self.seconds, 99.9, ENOUGH["p999"]),
            "refused": len(self.refused) / max(1, asked),
            "refused_p99": percentile(self.refused, 99.0, ENOUGH["p50"]),
            "failed": float(len(self.failed)),
            "lag_p99": percentile(self.lag, 99.0, ENOUGH["p50"]),
            "requests": float(asked),
        }


def percentile(seconds: Sequence[float], rank: float, least: int) -> float | None:
    """In milliseconds; None where there are fewer values than it takes."""
    return round(float(np.percentile(seconds, rank)) * 1e3, 3) if len(seconds) >= least else None


class Client:
    """Keeps connections to one server.

    Args:
        address: Host and port.
        requests: Whole HTTP requests, as bytes; asked in turn.
    """

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes]) -> None:
        self._address, self._requests = address, requests
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._next = 0

    async def ask(self) -> int:
        """The status of one answer, once all of it is here."""
        self._next += 1
        async with self._room:
            pair = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
            reader, writer = pair
            try:
                writer.write(self._requests[self._next % len(self._requests)])
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            except BaseException:
                writer.close()
                raise
            if b"connection: close" in head:
                writer.close()
            else:
                self._free.append(pair)
            return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def closed(client: Client, *, clients: int, seconds: float) -> float:
    """Answered requests a second of so many clients that each wait for their answer: only for finding the capacity."""
    until, answered = time.monotonic() + seconds, 0

    async def one() -> None:
        nonlocal answered
        while time.monotonic() < until:
            answered += await client.ask() == 200

    await asyncio.gather(*(one() for _ in range(clients)))
    return answered / seconds


async def offer(client: Client, *, rate: float, seconds: float, seed: int = 0) -> Seen:
    """Offer requests at a mean rate, at independent random instants.

    Args:
        client: That asks.
        rate: Requests a second.
        seconds: Of the schedule.
        seed: Of the instants.
    """
    rng, seen, asking = random.Random(seed), Seen(), set[asyncio.Task[None]]()
    started = due = time.monotonic()
    while (due := due + rng.expovariate(rate)) < started + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        seen.lag.append(time.monotonic() - due)
        task = asyncio.create_task(timed(client, due, seen))
        asking.add(task)
        task.add_done_callback(asking.discard)
    if asking:
        await asyncio.wait(asking)
    seen.lasted = time.monotonic() - started
    return seen


async def timed(client: Client, due: float, seen: Seen) -> None:
    """Ask once and note what became of it.

    Args:
        client: That asks.
        due: When the request was due, of the monotonic clock.
        seen: What is noted.
    """
    try:
        status = await client.ask()
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        seen.failed.append(type(error).__name__)
        return
    took = time.monotonic() - due
    if status == 200:
        seen.seconds.append(took)
    elif status in (429, 503):
        seen.refused.append(took)
    else:
        seen.failed.append(str(status))
