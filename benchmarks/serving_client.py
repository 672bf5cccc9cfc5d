"""The load generator of `serving`, in a process of its own: a job as JSON on stdin, what happened as JSON on stdout.

Open loop is `open_loop.offer`: every request has an instant at which it should leave, drawn as a Poisson process of the
wanted rate; nothing that the server does moves it, and it is timed from that instant and not from the moment it was
sent. Connections are kept open and bounded; a request that finds none waits, and its waiting counts. So a server that
stalls is charged for every request that would have come meanwhile, which is what coordinated omission hides. Closed
loop: so many clients, each of which asks again when it is answered; for capacities, and for one client's median.

Client and server share the machine, so how much of a core the client took is part of the result, and so is how late it
was itself, which makes a figure worse and never better.
"""

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from benchmarks.open_loop import Client, Seen, offer, percentile, timed


async def closed_loop(client: Client, *, clients: int, seconds: float) -> Seen:
    """So many clients that ask one request after another, each answer timed from when it was asked.

    Args:
        client: That asks.
        clients: How many.
        seconds: How long.
    """
    seen, started = Seen(), time.monotonic()

    async def one() -> None:
        while (began := time.monotonic()) < started + seconds:
            await timed(client, began, seen)

    await asyncio.gather(*(one() for _ in range(clients)))
    seen.lasted = time.monotonic() - started
    return seen


def requests_of(job: dict[str, Any]) -> list[bytes]:
    """Whole requests, as bytes.

    >>> job = {"url": "http://h:1", "path": "/p", "headers": {"X": "y"}, "bodies": [{}]}
    >>> requests_of(job)[0].split(b"\\r\\n")[0]
    b'POST /p HTTP/1.1'
    """
    lines = [f"POST {job['path']} HTTP/1.1", f"Host: {urlsplit(job['url']).netloc}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in job["headers"].items()]
    bodies = [json.dumps(body).encode() for body in job["bodies"]]
    return ["\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body for body in bodies]


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """What one job gave.

    Args:
        job: `url`, `path`, `headers`, `bodies`, `seconds`; `rate` and `seed`, or `clients`; `warm_seconds`.
    """
    found = urlsplit(job["url"])
    client = Client((found.hostname or "", found.port or 80), requests_of(job))
    if job.get("warm_seconds"):
        await closed_loop(client, clients=4, seconds=job["warm_seconds"])
    began, busy = time.monotonic(), time.process_time()
    if "rate" in job:
        seen = await offer(client, rate=job["rate"], seconds=job["seconds"], seed=job["seed"])
    else:
        seen = await closed_loop(client, clients=job["clients"], seconds=job["seconds"])
    busy, wall = time.process_time() - busy, time.monotonic() - began
    client.close()
    return {
        "answers": len(seen.seconds),
        "refused": len(seen.refused),
        "failed": sorted(set(seen.failed)),
        "per_second": len(seen.seconds) / seen.lasted,
        "ms_p50": percentile(seen.seconds, 50, 1),
        "ms_p99": percentile(seen.seconds, 99, 1),
        "ms_max": percentile(seen.seconds, 100, 1),
        "late_ms_p99": percentile(seen.lag, 99, 1),
        "client_cores": busy / wall,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
