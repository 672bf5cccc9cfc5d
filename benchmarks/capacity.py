"""The capacity sheet: what one server answers by how much is offered, and the table of it in docs/operations.md.

`python -m benchmarks.capacity BUNDLE DATA` measures on a quiet machine of two cores or more, the server on one and the
generator on another, and writes a line a load; `python -m benchmarks.capacity --page` writes the table from the lines.
"""

import argparse
import asyncio
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.open_loop import Client, Seen, closed, offer
from benchmarks.record import ROOT, Results, read_lines

RESULTS = Results("capacity")
PAGE = ROOT / "docs" / "operations.md"
BEGIN, END = "<!-- capacity: begin -->", "<!-- capacity: end -->"
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 2.0)
"""Of the capacity; the last shows what refusals do."""

CLIENTS = (1, 4, 16, 64)
"""That wait for their answers, to find the capacity."""

LAG = 1.0
"""Milliseconds that the generator's own p99 may be late; above, the load is void."""


def rows_of(data: Path, columns: Sequence[str], count: int) -> list[dict[str, str]]:
    """The first rows of a CSV file, with these columns."""
    with data.open(encoding="utf-8", newline="") as file:
        found = [
            {name: row[name] for name in columns} for row, _ in zip(csv.DictReader(file), range(count), strict=False)
        ]
    if not found:
        raise SystemExit(f"{data} has no rows")
    return found


def requests_of(rows: Sequence[dict[str, str]], *, each: int, key: str, address: tuple[str, int]) -> list[bytes]:
    """Whole requests of so many rows each."""
    bodies = [json.dumps({"rows": rows[at : at + each]}).encode() for at in range(0, len(rows) - each + 1, each)]
    head = f"POST /predict HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nAuthorization: Bearer {key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


@contextmanager
def serving(bundle: Path, cpu: int, options: Sequence[str]) -> Iterator[tuple[tuple[str, int], str]]:
    """A server on one core: its address and a key."""
    from underlay.serve.keys import create

    with tempfile.TemporaryDirectory() as scratch:
        keys = Path(scratch) / "keys.json"
        key, _ = create(keys, name="capacity")
        words = ["serve", str(bundle), "--port", "0", "--admin-port", "0", "--keys", str(keys), "--json", *options]
        words += ["--limit", "key_rate=1000000", "--limit", "key_daily=1000000000"]
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})  # what starts now stays there
        process = subprocess.Popen(
            [sys.executable, "-m", "underlay", *words],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        os.sched_setaffinity(0, here)
        try:
            said = ""
            while not said.rstrip().endswith("}"):
                line = process.stdout.readline() if process.stdout else ""
                if not line:
                    raise SystemExit(f"the server ended with {process.wait()}; run it by hand to see why")
                said += line
            told = json.loads(said)
            host, _, port = told["url"].removeprefix("http://").rpartition(":")
            yield (host, int(port)), key
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


async def measure(address: tuple[str, int], requests: Sequence[bytes], *, seconds: float, warm: float) -> list[Any]:
    """The capacity in requests a second, then what each share of it brought."""
    client = Client(address, requests)
    await closed(client, clients=4, seconds=warm)
    capacity = max([await closed(client, clients=count, seconds=max(warm, 5.0)) for count in CLIENTS])
    found: list[tuple[float, Seen]] = []
    for number, share in enumerate(SHARES):
        found.append((share, await offer(client, rate=share * capacity, seconds=seconds, seed=number)))
        await asyncio.sleep(2.0)  # what waits is answered before the next
    client.close()
    return [capacity, found]


def table(records: Sequence[dict[str, Any]]) -> str:
    """Rows of the page, of the newest measurement."""
    if not records:
        return "Not measured yet: `python -m benchmarks.capacity BUNDLE DATA` on a quiet machine, then `--page`."
    last = records[-1]["cell"]["measured"]
    mine = sorted((one for one in records if one["cell"]["measured"] == last), key=lambda one: one["cell"]["share"])
    of, machine = mine[0]["cell"], mine[0]["machine"]
    most, when = mine[0]["values"]["capacity"], f"{mine[0]['date'][:10]}, commit {mine[0]['commit'][:10]}"
    head = ("offered, of the most", "rows/s offered", "answered", "p50, ms", "p99, ms", "p99.9, ms", "refused",
            "p99 of a refusal, ms")  # fmt: skip
    what = f"`{of['bundle']}` on one core of {machine['cpu']}, {of['rows']} rows a request"
    lines = [
        f"{what}, {most:,.0f} rows/s at most; {when}:",
        "",
        f"| {' | '.join(head)} |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in mine:
        values = one["values"]
        cells = [f"{one['cell']['share']:.0%}", f"{values['offered']:,.0f}", f"{values['answered']:,.0f}"]
        cells += [_told(values[name]) for name in ("p50", "p99", "p999")]
        cells += [f"{values['refused']:.2%}", _told(values["refused_p99"])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "too few" if value is None else f"{value:,.1f}"


def write_page(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Put the table between its marks."""
    text = path.read_text(encoding="utf-8")
    inside = f"{BEGIN}\n{table(records)}\n{END}"
    found, count = re.subn(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: inside, text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{path} has {count} places for the table")
    path.write_text(found, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("data", nargs="?", type=Path, help="CSV with the bundle's columns")
    parser.add_argument("--page", action="store_true", help="write the table into docs/operations.md")
    parser.add_argument("--rows", type=int, default=1, help="rows of a request")
    parser.add_argument("--seconds", type=float, default=300.0, help="of each load; p99 takes 10,000 answers")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds before anything counts")
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1), help="of the server and of the generator")
    parser.add_argument("--option", action="append", default=[], help="of `underlay serve`; repeat for several")
    asked = parser.parse_args()
    if asked.page:
        write_page(PAGE, read_lines(RESULTS.path({})))
        return
    if asked.bundle is None or asked.data is None:
        parser.error("name a bundle and a CSV file, or --page")
    from datetime import UTC, datetime

    from underlay.bundle import open_bundle

    os.sched_setaffinity(0, {asked.cores[1]})
    bundle = open_bundle(asked.bundle)
    rows = rows_of(asked.data, [column.name for column in bundle.schema.columns], 4_096)
    seal = bundle.manifest.seal[:12] if bundle.manifest else ""
    cell = {"bundle": asked.bundle.name, "seal": seal, "rows": asked.rows, "options": asked.option}
    cell["measured"] = datetime.now(UTC).isoformat(timespec="seconds")
    with serving(asked.bundle, asked.cores[0], asked.option) as (address, key):
        requests = requests_of(rows, each=asked.rows, key=key, address=address)
        capacity, found = asyncio.run(measure(address, requests, seconds=asked.seconds, warm=asked.warm))
    for share, seen in found:
        values = {"capacity": capacity * asked.rows, **seen.figures(asked.rows)}
        if values["lag_p99"] is not None and values["lag_p99"] > LAG:
            sys.stderr.write(f"{share:.0%}: void, the generator itself was {values['lag_p99']} ms late\n")
            continue
        RESULTS.append("capacity", {**cell, "share": share}, values)
        sys.stdout.write(f"{share:.0%}: {json.dumps(values)}\n")


if __name__ == "__main__":
    main()
