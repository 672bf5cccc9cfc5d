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
from tests.serve.conftest import ODD, Server, serving
from tests.serve.ray.questions import QUESTIONS, asked, without_chance

ODD_RAY = Path(__file__).with_name("odd_ray.py")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOMY = ["--limit", "queue_seconds=60", "--limit", "request_seconds=60"]
SECONDS = "0.05"
"""That a batch takes; the model sleeps, so that there is more than one core's work of it on one core."""

TEXTS = [f"{word} {'sleep ' * 4} {number}" for number in range(8) for word in ("quiet", "loud")]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two of one form; what one calls quiet the other calls loud."""
    folder = tmp_path_factory.mktemp("ray")
    for name, *changes in (("one",), ("two", "flip")):
        subprocess.run([sys.executable, str(ODD), "seal", str(folder / name), *changes], check=True)
    return [folder / "one", folder / "two"]


@pytest.fixture(scope="module")
def fleet(bundles: list[Path], text_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The first of them, and one that was exported, on replicas that share a core."""
    words = [f"odd:1={bundles[0]}", f"reviews:1={text_bundle}"]
    options = ["--on", "ray", "--replicas", "1:2", "--replica-cpus", "0.1", "--calm-seconds", "10", *ROOMY]
    scratch = tmp_path_factory.mktemp("fleet")
    with serving(words, scratch, *options, odd=ODD_RAY, environment={"ODD_SECONDS": SECONDS}) as found:
        yield found
        assert found.stop() == 0
        assert replicas(found, "") == []


def test_answers_and_refusals_are_those_of_one_machine(fleet, bundles, text_bundle, tmp_path):
    words = [f"odd:1={bundles[0]}", f"reviews:1={text_bundle}"]
    with serving(words, tmp_path, *ROOMY, odd=True, environment={"ODD_SECONDS": SECONDS}) as alone:
        for question in QUESTIONS:
            ours, theirs = asked(fleet, question), asked(alone, question)
            assert without_chance(ours) == without_chance(theirs), question
        assert fleet.raw(b"GET / HTTP/1.1\r\n\r\n") == alone.raw(b"GET / HTTP/1.1\r\n\r\n")
        assert fleet.raw(b"GET / HTTP/9\r\n\r\n") == alone.raw(b"GET / HTTP/9\r\n\r\n")
    assert [line for line in fleet.logged() if line["level"] in ("error", "critical")] == []


def test_load_brings_replicas_and_calm_takes_them_and_one_that_dies_costs_no_answer(fleet):
    with clients(fleet) as load:
        wait_for(lambda: len(replicas(fleet, "odd")) == 2, 90)
        wait_for(lambda: load.answered > 0, 60)
        time.sleep(8)  # both answer
        victim = replicas(fleet, "odd")[0]
        before = load.answered
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: load.answered > before + 8, 60)
        wait_for(lambda: len(replicas(fleet, "odd")) == 2 and victim not in replicas(fleet, "odd"), 90)
    assert load.failed == []
    with clients(fleet, pause=0.5, count=1) as light:
        wait_for(lambda: len(replicas(fleet, "odd")) == 1, 120)
    assert light.failed == []
    assert light.answered > 0


def test_versions_change_places_under_load_and_every_answer_names_its_own(fleet, bundles):
    def admin(method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {fleet.admin_key}"}
        return httpx.request(method, fleet.admin_url + path, json=body, headers=headers, timeout=180)

    with clients(fleet, pause=0.1, count=2) as load:
        wait_for(lambda: load.answered > 4, 60)
        found = admin("POST", "/models/odd/versions", {"bundle": str(bundles[1]), "version": "2"})
        assert found.status_code == 201, found.text
        assert admin("PUT", "/models/odd/aliases/prod", {"version": "2"}).status_code == 200
        wait_for(lambda: load.versions.get("2", 0) > 4, 60)
        found = admin("DELETE", "/models/odd/versions/1")
        assert found.json()["answered_all"] is True, found.text
        wait_for(lambda: len(replicas(fleet, "odd")) == 1, 60)
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

    def __init__(self, server: Server, *, pause: float = 0.0, count: int = 4) -> None:
        self.server, self.pause, self.count = server, pause, count
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
        words = TEXTS[number * 3 :] + TEXTS[: number * 3]
        with httpx.Client(base_url=self.server.url, headers=self.server.headers(), timeout=120) as client:
            while not self.over.is_set():
                words = [*words[1:], words[0]]
                found = client.post("/predict", json={"rows": [{"text": text} for text in words[:3]]})
                self.note(words[:3], found)
                self.over.wait(self.pause)

    def note(self, texts: list[str], found: httpx.Response) -> None:
        told = found.json()
        with self.lock:
            if found.status_code != 200:
                self.load.failed.append(found.text)
                return
            said = [row["label"]["prediction"] for row in told["predictions"]]
            right = [text.split()[0] for text in texts]
            if told["version"] == "2":
                right = [{"quiet": "loud", "loud": "quiet"}[word] for word in right]
            if said != right:
                self.load.failed.append(f"version {told['version']} says {said} of {right}")
            self.load.answered += 1
            self.load.versions[told["version"]] = self.load.versions.get(told["version"], 0) + 1


def replicas(server: Server, model: str) -> list[int]:
    """Processes of a model's replicas, or of all, that descend from a server."""
    title = f"ServeReplica:underlay-{model}"
    return [pid for pid in descendants(server.process.pid) if any(title in word for word in words_of(pid))]


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
