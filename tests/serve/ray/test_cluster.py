"""A real Ray on this machine: the same answers as without it, and none lost while replicas come, go, die and change."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.serve.conftest import Server, serving
from tests.serve.ray.questions import QUESTIONS, asked, without_chance

from underlay.bundle import open_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLOSE = 1e-4
"""Distance of two confidences that are one: batches differ."""

ROOMY = ["--limit", "queue_seconds=60", "--limit", "request_seconds=60"]
TEXTS = [f"{word} film, a story of {number} nights " * 12 for number in range(16) for word in ("good", "bad")]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two of one form that answer differently."""
    from tests.compress import bundles as made

    from underlay.compress import export

    folder = tmp_path_factory.mktemp("ray")
    found = []
    for number, trunk in enumerate(("transformer.v1", "recurrent.v1")):
        text = made.fitted("text.v1")
        made.sealed(folder / f"original{number}", {"text": text}, targets=(made.LABEL,), trunk=trunk)
        found.append(export(folder / f"original{number}", folder / f"reviews{number}", seconds=0.02).path)
    return found


@pytest.fixture(scope="module")
def fleet(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The first of them on replicas that share a core."""
    options = ["--on", "ray", "--replicas", "1:2", "--replica-cpus", "0.3", "--calm-seconds", "10", *ROOMY]
    with serving([f"reviews:1={bundles[0]}"], tmp_path_factory.mktemp("fleet"), *options) as found:
        yield found
        assert found.stop() == 0
        assert replicas(found) == []


def test_answers_and_refusals_are_those_of_one_machine(fleet, bundles, tmp_path):
    with serving([f"reviews:1={bundles[0]}"], tmp_path, *ROOMY) as alone:
        for question in QUESTIONS:
            ours, theirs = asked(fleet, question), asked(alone, question)
            assert without_chance(ours) == without_chance(theirs), question
        assert fleet.raw(b"GET / HTTP/1.1\r\n\r\n") == alone.raw(b"GET / HTTP/1.1\r\n\r\n")
        assert fleet.raw(b"GET / HTTP/9\r\n\r\n") == alone.raw(b"GET / HTTP/9\r\n\r\n")
    assert [line for line in fleet.logged() if line["level"] in ("error", "critical")] == []


def test_load_brings_replicas_and_calm_takes_them_and_one_that_dies_costs_no_answer(fleet, bundles):
    with clients(fleet, bundles) as load:
        wait_for(lambda: len(replicas(fleet)) == 2, 90)
        wait_for(lambda: load.answered > 0, 60)
        time.sleep(8)  # both answer
        victim = replicas(fleet)[0]
        before = load.answered
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: load.answered > before + 8, 60)
        wait_for(lambda: len(replicas(fleet)) == 2 and victim not in replicas(fleet), 90)
    assert load.failed == []
    with clients(fleet, bundles, pause=0.5, count=1) as light:
        wait_for(lambda: len(replicas(fleet)) == 1, 120)
    assert light.failed == []
    assert light.answered > 0


def test_versions_change_places_under_load_and_every_answer_names_its_own(fleet, bundles):
    def admin(method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {fleet.admin_key}"}
        return httpx.request(method, fleet.admin_url + path, json=body, headers=headers, timeout=180)

    with clients(fleet, bundles, pause=0.1, count=2) as load:
        wait_for(lambda: load.answered > 4, 60)
        found = admin("POST", "/models/reviews/versions", {"bundle": str(bundles[1]), "version": "2"})
        assert found.status_code == 201, found.text
        assert admin("PUT", "/models/reviews/aliases/prod", {"version": "2"}).status_code == 200
        wait_for(lambda: load.versions.get("2", 0) > 4, 60)
        found = admin("DELETE", "/models/reviews/versions/1")
        assert found.json()["answered_all"] is True, found.text
        wait_for(lambda: len(replicas(fleet)) == 1, 60)
        before = load.answered
        wait_for(lambda: load.answered > before + 4, 60)
    assert load.failed == []
    assert set(load.versions) == {"1", "2"}


def test_nobody_without_the_token_reaches_the_cluster(fleet):
    """Its own token is in no file; a stranger of this very user is refused, even when he knows the address."""
    code = "import ray, sys\nray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)\nprint('in')"
    port = next(word.partition("=")[2] for word in words_of(raylet_of(fleet)) if word.startswith("--gcs-address="))
    for environment in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}):
        done = subprocess.run(
            [sys.executable, "-c", code, port], capture_output=True, encoding="utf-8", timeout=120,
            env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode != 0
        assert "in" not in done.stdout.split()


@dataclass
class Load:
    """What clients saw.

    Args:
        answered: Requests with the right answer.
        failed: What the others got.
        versions: Answers by version.
    """

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)


class clients:  # lower case, as it is used like a function
    """Clients that ask again and again, and compare what they get with what each version says."""

    def __init__(self, server: Server, bundles: list[Path], *, pause: float = 0.0, count: int = 4) -> None:
        self.server, self.pause, self.count = server, pause, count
        sure = [open_bundle(bundle).answer({"text": TEXTS}).confidence["label"] for bundle in bundles]
        assert min(abs(sure[0] - sure[1])) > 10 * CLOSE, "a mix-up would not be seen"
        self.expected = {str(number + 1): dict(zip(TEXTS, said, strict=True)) for number, said in enumerate(sure)}
        self.load, self.over, self.lock = Load(), threading.Event(), threading.Lock()

    def __enter__(self) -> Load:
        self.pool = ThreadPoolExecutor(self.count)
        self.work = [self.pool.submit(self.ask, number) for number in range(self.count)]
        return self.load

    def __exit__(self, *error: object) -> None:
        self.over.set()
        for one in self.work:
            one.result(120)
        self.pool.shutdown()

    def ask(self, number: int) -> None:
        texts = TEXTS[number * 7 :] + TEXTS[: number * 7]
        with httpx.Client(base_url=self.server.url, headers=self.server.headers(), timeout=120) as client:
            while not self.over.is_set():
                found = client.post("/predict", json={"rows": [{"text": text} for text in texts]})
                self.note(texts, found)
                self.over.wait(self.pause)

    def note(self, texts: list[str], found: httpx.Response) -> None:
        told = found.json()
        with self.lock:
            if found.status_code != 200:
                self.load.failed.append(found.text)
                return
            said = [row["label"]["confidence"] for row in told["predictions"]]
            right = [self.expected[told["version"]][text] for text in texts]
            if said != pytest.approx(right, abs=CLOSE):
                self.load.failed.append(f"version {told['version']} says {said}")
            self.load.answered += 1
            self.load.versions[told["version"]] = self.load.versions.get(told["version"], 0) + 1


def replicas(server: Server) -> list[int]:
    """Processes of replicas that descend from a server."""
    return [pid for pid in descendants(server.process.pid) if any("ServeReplica" in word for word in words_of(pid))]


def raylet_of(server: Server) -> int:
    return next(pid for pid in descendants(server.process.pid) if words_of(pid)[0].endswith("raylet"))


def descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {root})


def words_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return [""]


def wait_for(true, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.2)
