"""Servers of their own process, on ports that were free, asked by real clients."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from underlay.core import Target
from underlay.serve.keys import create

ODD = Path(__file__).with_name("odd.py")
MOODS = Target("moods", "multilabel", ("calm", "loud"))
PRICE = Target("price", "regression")


@dataclass
class Server:
    """A running server.

    Args:
        process: Of it.
        url: For everybody.
        admin_url: For figures.
        key: Of scope `predict`.
        admin_key: Of scope `admin`.
        keys: The file of both.
        log: Where its stderr goes.
        name: Of the model.
        version: That answers.
    """

    process: subprocess.Popen[str]
    url: str
    admin_url: str
    key: str
    admin_key: str
    keys: Path
    log: Path
    name: str
    version: str

    @property
    def address(self) -> tuple[str, int]:
        found = httpx.URL(self.url)
        return found.host, found.port or 0

    def headers(self, **more: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}", **more}

    def post(self, path: str, body: Any, **more: str) -> httpx.Response:
        """JSON, or bytes as they are, with the key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = self.headers(**{"content-type": "application/json", **more})
        return httpx.post(self.url + path, content=content, headers=headers, timeout=60)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=self.headers(), timeout=60)

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """The second port, with its key."""
        headers = {"authorization": f"Bearer {self.admin_key}", "content-type": "application/json"}
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.request(method, self.admin_url + path, content=content, headers=headers, timeout=60)

    def figures(self) -> dict[str, float]:
        """What /metrics says, by name and labels."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        text = httpx.get(f"{self.admin_url}/metrics", headers=headers, timeout=60).text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def raw(self, data: bytes, *, seconds: float = 20.0) -> bytes:
        """What comes back for these bytes until the server closes."""
        with socket.create_connection(self.address, timeout=seconds) as peer:
            return exchange(peer, data)

    def logged(self) -> list[dict[str, Any]]:
        """Its log, a JSON object a line."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def exchange(peer: socket.socket, data: bytes) -> bytes:
    """Send all, then read until the other side closes; a reset after an answer is none."""
    found = b""
    with suppress(BrokenPipeError, ConnectionResetError):
        peer.sendall(data)
    with suppress(ConnectionResetError):
        while piece := peer.recv(65_536):
            found += piece
    return found


@contextmanager
def serving(
    served: Path | Sequence[str],
    scratch: Path,
    *options: str,
    odd: bool | Path = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A server of this bundle, or of what these words name; killed if the test has not stopped it."""
    words = [str(served)] if isinstance(served, Path) else list(served)
    keys, log = scratch / "keys.json", scratch / "log"
    key, _ = create(keys, name="test")
    admin_key, _ = create(keys, name="watch", scopes=["admin"])
    script = ODD if odd is True else odd
    program = [sys.executable, str(script)] if script else [sys.executable, "-m", "underlay"]
    command = [*program, "serve", *words, "--port", "0", "--admin-port", "0", "--keys", str(keys), "--json"]
    # Tests ask faster than a key may by itself.
    command += ["--limit", "leave_seconds=0.2", "--limit", "key_rate=100000", *options]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8", env={**os.environ, **(environment or {})}
        )
    try:
        said = ""
        assert process.stdout is not None
        while not said.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, f"the server ended with {process.wait(10)}: {log.read_text(encoding='utf-8')}"
            said += line
        told = json.loads(said)
        yield Server(process, told["url"], told["admin_url"], key, admin_key, keys, log, told["name"], told["version"])
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def text_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported bundle of three targets that reads a text."""
    from tests.compress import bundles

    from underlay.compress import export

    folder = tmp_path_factory.mktemp("serve")
    text = bundles.fitted("text.v1")
    bundles.sealed(folder / "original", {"text": text}, targets=(bundles.LABEL, MOODS, PRICE))
    return export(folder / "original", folder / "reviews", seconds=0.02).path


@pytest.fixture(scope="session")
def server(text_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It, served; shared by tests that leave it as it was."""
    with serving(text_bundle, tmp_path_factory.mktemp("server"), "--limit", "failed_keys=1000") as found:
        yield found
        assert found.stop() == 0


@pytest.fixture(scope="session")
def odd_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that sleeps and breaks on demand."""
    folder = tmp_path_factory.mktemp("odd") / "odd"
    done = subprocess.run([sys.executable, str(ODD), "seal", str(folder)], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def serve_odd(odd_bundle: Path, tmp_path: Path) -> Callable[..., Any]:
    """Serves it with options; a context manager."""

    def start(*options: str, **environment: str) -> Any:
        return serving(odd_bundle, tmp_path, *options, odd=True, environment=environment)

    return start


def wait_for(holds: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def free_port() -> int:
    """One that nobody has at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def odds(odd_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by what is odd about them: `flip` says loud where `plain` says quiet."""
    folder = tmp_path_factory.mktemp("odds")
    for change in ("flip", "large", "column", "hard"):
        subprocess.run([sys.executable, str(ODD), "seal", str(folder / change), change], check=True)
    return {"plain": odd_bundle, **{path.name: path for path in folder.iterdir()}}
