"""What goes wrong on purpose: a client that notes what it was told, and a line to the database that breaks."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
from tests.serve.conftest import Server


@dataclass
class Ledger:
    """Clients that ask without end and note every answer.

    Args:
        server: Asked.
        told: By name of the request: the ids that came with a 200.
        refused: Codes of what came else.
        broken: Names of requests whose connection ended without an answer.
    """

    server: Server
    told: dict[str, list[str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, clients: int = 4) -> None:
        self.going.set()
        self.threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.going.clear()
        for thread in self.threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self.server.url, headers=self.server.headers(), timeout=30) as client:
            count = 0
            while self.going.is_set():
                name = f"client-{number}-{count}"
                count += 1
                try:
                    found = ask(client, name)
                except httpx.HTTPError:
                    self.broken.append(name)
                    return
                if found.status_code == 200:
                    self.told[name] = found.json()["prediction_ids"]
                else:
                    self.refused.append(found.json()["error"]["code"])
                    time.sleep(0.05)


def ask(client: httpx.Client, name: str) -> httpx.Response:
    """One row, under a name of its own."""
    return client.post("/predict", json={"row": {"text": f"quiet {name}"}}, headers={"idempotency-key": name})


class Proxy:
    """A line to a database that passes everything on, until it is told otherwise.

    Args:
        port: Of the database, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.silent = threading.Event()
        self.cut: Callable[[bytes], bool] = lambda data: False
        self._pairs: list[socket.socket] = []
        self._open = True
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._open = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """End every connection."""
        for one in self._pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._pairs = []

    def _accept(self) -> None:
        while self._open:
            try:
                peer, _ = self._listener.accept()
                database = socket.create_connection(self._target)
            except OSError:
                return
            self._pairs += [peer, database]
            threading.Thread(target=self._join, args=(peer, database), daemon=True).start()

    def _join(self, peer: socket.socket, database: socket.socket) -> None:
        with peer, database:
            other = threading.Thread(target=self._pass, args=(peer, database, True), daemon=True)
            other.start()
            self._pass(database, peer, False)
            other.join()

    def _pass(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                while self.silent.is_set() and self._open:
                    time.sleep(0.02)
                if not asks and self.cut(data):
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
