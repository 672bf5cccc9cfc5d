"""The generator that measures capacity, against a server whose pace is known; and the page that it writes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.open_loop import Client, Seen, closed, offer, percentile

from benchmarks import capacity

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


async def served(status: int, seconds: float, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """What `work` gives against a server that answers one request after another, each taking so long."""
    turn = asyncio.Lock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with turn:
                    await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 2\r\n\r\nok" % status)
        except (asyncio.IncompleteReadError, ConnectionResetError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = Client(server.sockets[0].getsockname()[:2], [REQUEST])
    try:
        return await work(client)
    finally:
        client.close()
        server.close()


def test_what_waits_behind_others_is_timed_from_when_it_was_due():
    seen = asyncio.run(served(200, 0.02, lambda client: offer(client, rate=100.0, seconds=1.0)))
    assert 60 < len(seen.seconds) < 150
    assert max(seen.seconds) > 0.4, "twice what it can: the last must have waited about as long as it lasted"
    assert seen.failed == []


def test_refusals_are_no_answers():
    seen = asyncio.run(served(503, 0.0, lambda client: offer(client, rate=100.0, seconds=0.5)))
    assert seen.seconds == []
    assert seen.figures(1)["refused"] == 1.0
    assert seen.figures(1)["answered"] == 0.0


def test_waiting_clients_find_the_capacity():
    rate = asyncio.run(served(200, 0.02, lambda client: closed(client, clients=4, seconds=1.0)))
    assert 2 < rate <= 51  # one after another, 20 ms each; a busy machine takes longer


def test_too_few_answers_give_no_percentile():
    assert percentile([0.1] * 9_999, 99.0, 10_000) is None
    assert percentile([0.1] * 10_000, 99.0, 10_000) == 100.0


def test_the_page_gets_the_newest_table_between_its_marks(tmp_path: Path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{capacity.BEGIN}\nold\n{capacity.END}\nafter\n", encoding="utf-8")
    capacity.write_page(path, [])
    assert "Not measured yet" in path.read_text(encoding="utf-8")
    seen = Seen(seconds=[0.01] * 300, refused=[0.001] * 100, lasted=2.0)
    records = [
        {
            "cell": {"bundle": "reviews", "rows": 4, "share": share, "measured": measured},
            "values": {"capacity": 1_000.0, **seen.figures(4)},
            "machine": {"cpu": "one"}, "date": "2026-11-24T00:00:00", "commit": "0123456789abcdef",
        }
        for measured, share in (("1", 0.3), ("2", 0.7), ("2", 0.1))
    ]  # fmt: skip
    capacity.write_page(path, records)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| 10% | 800 | 600 | 10.0 | too few | too few | 25.00% | too few |" in text
    assert "30%" not in text
    assert text.index("| 10% |") < text.index("| 70% |")
    (tmp_path / "none.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="0 places"):
        capacity.write_page(tmp_path / "none.md", records)
