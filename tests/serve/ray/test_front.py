"""The entrance before replicas, without Ray: the replica's own code stands behind it, in this process."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from underlay.bundle import open_bundle
from underlay.core import BundleRefused, ServiceAway, UsageError
from underlay.serve.limits import Limits
from underlay.serve.ray import front
from underlay.serve.ray.cluster import joined, prepare_environment
from underlay.serve.ray.deploying import Plan, read_replicas
from underlay.serve.ray.law import Load
from underlay.serve.ray.replica import Cost, Replica, Source
from underlay.serve.refusals import Refusal
from underlay.serve.served import Served
from underlay.serve.version import Version

# Ray declares its settings as pydantic 1 had it.
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")


class Handle:
    """What Ray Serve's handle offers, as far as the front uses it.

    Args:
        replica: That answers.
        faults: Raised by the first calls, one each.
    """

    def __init__(self, replica: Replica, faults: list[BaseException]) -> None:
        self.replica, self.faults = replica, faults
        self.cancelled = 0
        self.answer = self
        self.slow = 0.0
        self.ended: list[Source] = []
        self.silence: Exception | None = None

    def remote(self, rows: Any, seconds: float) -> Any:
        handle, task = self, asyncio.ensure_future(self._answer(rows, seconds))

        class Response:
            """Whoever stops waiting for it has cancelled nothing, as with Ray."""

            def __await__(self) -> Any:
                return asyncio.shield(task).__await__()

            def cancel(self) -> None:
                handle.cancelled += 1
                task.cancel()

        return Response()

    async def _answer(self, rows: Any, seconds: float) -> Any:
        await asyncio.sleep(self.slow)
        if self.faults:
            raise self.faults.pop(0)
        return await self.replica.answer(rows, seconds)

    def broadcast(self, method: str, *arguments: Any) -> Any:
        handle = self

        class Response:
            async def results_async(self, **options: Any) -> list[Any]:
                if handle.silence is not None:
                    raise handle.silence
                return [await getattr(handle.replica, method)(*arguments)]

        return Response()


@pytest.fixture
def behind(text_bundle: Path) -> Callable[..., tuple[front.RemoteVersion, Handle]]:
    """A version whose replica is here; call it within a running loop."""

    def make(*faults: BaseException, **limits: float) -> tuple[front.RemoteVersion, Handle]:
        bounds = Limits(**limits)
        served = Served("reviews", open_bundle(text_bundle))
        source = Source("reviews", str(text_bundle), None, served.seal)
        handle = Handle(Replica(source, bounds), list(faults))
        deployed = front.Deployed(lambda *_: handle, handle.ended.append)
        version = front.RemoteVersion(served, limits=bounds, deployed=deployed, observe=lambda rows, seconds: None)
        version.batcher.start()
        return version, handle

    return make


async def stays() -> Any:
    return await asyncio.Event().wait()


def ask(version: Version, *texts: Any, seconds: float = 30.0, place: Any = "/rows/{}".format) -> Any:
    return version.ask(
        {"text": list(texts)}, receive=stays, deadline=time.monotonic() + seconds, place=place, readers=READERS
    )


READERS = ThreadPoolExecutor(1)


@pytest.mark.parametrize(
    "texts",
    [("good",), ("good", "a bad film"), ("good", " "), (" ",), ("good", "a" * 15_000)],
    ids=["one", "two", "second-bad", "bad", "long"],
)
def test_answers_and_refusals_are_those_of_a_version_here(behind, text_bundle, texts):
    async def both() -> tuple[Any, Any]:
        remote, _ = behind()
        here = Version(remote.served, limits=Limits(), observe=lambda rows, seconds: None)
        here.batcher.start()
        return [await told(remote), await told(here)]

    async def told(version: Version) -> Any:
        try:
            return [{name: (said.prediction, said.probabilities.tolist()) for name, said in row.items()}
                    for row in await ask(version, *texts)]  # fmt: skip
        except Refusal as refusal:
            return refusal.to_dict("") | {"status": refusal.status}

    ours, theirs = asyncio.run(both())
    assert ours == theirs


def died() -> BaseException:
    from ray.exceptions import ActorDiedError

    return ActorDiedError()


def test_another_replica_is_asked_when_one_dies_but_not_for_ever(behind):
    async def asked() -> None:
        version, _ = behind(died(), died())
        assert len(await ask(version, "good")) == 1
        version, _ = behind(died(), died(), died())
        with pytest.raises(Refusal) as refused:
            await ask(version, "good")
        assert (refused.value.code, refused.value.status) == ("no_replica", 503)

    asyncio.run(asked())


def test_a_deadline_is_kept_and_the_replica_is_told_that_nobody_waits(behind):
    async def asked() -> None:
        version, handle = behind()
        handle.slow = 5.0
        started = time.monotonic()
        with pytest.raises(Refusal) as refused:
            await ask(version, "good", seconds=0.2)
        await asyncio.sleep(0.05)
        assert refused.value.code == "deadline_exceeded"
        assert time.monotonic() - started < 2
        assert handle.cancelled == 1
        assert version.batcher.waiting == 0

    asyncio.run(asked())


def test_what_waits_at_replicas_is_bounded_by_how_many_there_are(behind):
    async def asked() -> None:
        version, _ = behind()
        queue = version.batcher
        queue.row_seconds = 1 / 64  # a batch of 64 takes a second
        queue.count = 1
        queue.admit(64, deadline=time.monotonic() + 60)  # at work
        queue.admit(30, deadline=time.monotonic() + 60)  # waits half a second
        with pytest.raises(Refusal) as refused:
            version.refuse_early()
        assert refused.value.code == "overloaded"
        assert int(refused.value.headers["retry-after"]) >= 1
        queue.count = 2
        version.refuse_early()
        with pytest.raises(Refusal):
            queue.admit(2_000, deadline=time.monotonic() + 60)

    asyncio.run(asked())


def test_refused_requests_count_as_offered(behind):
    async def asked() -> None:
        version, _ = behind()
        now = [100.0]
        version.batcher.meter._clock = lambda: now[0]
        version.batcher._missed = front.MISSED
        for _ in range(20):
            with pytest.raises(Refusal) as refused:
                version.refuse_early()
        assert refused.value.code == "no_replica"
        now[0] = 101.0
        assert version.batcher.meter.peak == 10.0
        assert version.batcher.load.peak > 0

    asyncio.run(asked())


@pytest.mark.parametrize(("silence", "alive"), [(TimeoutError(), True), (RuntimeError("nobody"), False)])
def test_replicas_that_are_slow_are_there_and_those_that_are_gone_are_not(behind, monkeypatch, silence, alive):
    monkeypatch.setattr(front, "BEAT", 0.01)

    async def asked() -> None:
        version, handle = behind()
        await asyncio.sleep(0.05)
        assert version.ready
        handle.silence = silence
        await asyncio.sleep(0.3)
        assert version.ready is alive
        handle.silence = None
        await asyncio.sleep(0.1)
        assert version.ready

    asyncio.run(asked())


def test_a_front_is_heard_of_and_forgotten_and_the_last_one_takes_the_replicas_along(behind):
    async def asked() -> None:
        version, handle = behind()
        await handle.replica.note("other", Load(1.0, 0.5))
        await asyncio.sleep(0.05)  # the first beat
        assert set(handle.replica.record_autoscaling_stats()) == {
            f"underlay_{kind}:{name}" for kind in ("peak", "steady") for name in ("other", front.FRONT)
        }
        await version.batcher.stop()
        assert handle.ended == []
        version, handle = behind()
        await asyncio.sleep(0.05)
        await version.batcher.stop()
        assert [source.name for source in handle.ended] == ["reviews"]

    asyncio.run(asked())


def test_the_cost_of_a_row_is_what_the_process_computes_for_it():
    now = [5.0]
    cost = Cost(lambda: now[0])
    for _ in range(2):
        now[0] += 6.4
        cost.note(63)
        cost.note(1)
    assert cost.seconds == pytest.approx(0.1)
    now[0] += 12.8
    cost.note(64)
    assert 0.1 < cost.seconds < 0.2


def test_a_replica_of_another_bundle_does_not_start(text_bundle):
    with pytest.raises(BundleRefused, match="on this machine"):
        Source("reviews", str(text_bundle), None, "0" * 64).open()


def test_replicas_are_read_and_bounded():
    assert read_replicas(None, available=1, cpus=1) == (1, 1)
    assert read_replicas("3", available=1, cpus=1) == (3, 3)
    with pytest.raises(UsageError, match="names no replicas"):
        read_replicas("many", available=1, cpus=1)
    for plan in (Plan(0, 1), Plan(2, 1), Plan(1, 1, cpus=0.0), Plan(1, 1, calm=0.0)):
        with pytest.raises(UsageError, match="cannot be"):
            plan.check(8)
    with pytest.raises(UsageError, match="there are 1"):
        Plan(2, 2).check(1)
    Plan(2, 2, waits=True).check(1)


def test_the_token_cannot_be_switched_off_and_a_cluster_of_ones_own_has_a_new_one():
    with pytest.raises(UsageError, match="token"):
        prepare_environment({"RAY_AUTH_MODE": "disabled"}, alone=True)
    tokens = set()
    for _ in range(2):
        environment: dict[str, str] = {}
        prepare_environment(environment, alone=True)
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        tokens.add(environment["RAY_AUTH_TOKEN"])
    assert len(tokens) == 2
    environment = {"RAY_AUTH_TOKEN_PATH": "/run/token"}
    prepare_environment(environment, alone=True)
    assert "RAY_AUTH_TOKEN" not in environment


def test_without_the_extra_the_command_says_what_to_install(text_bundle, tmp_path):
    code = "import sys\nsys.modules['ray'] = None\nfrom underlay.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", str(text_bundle), "--on", "ray", "--open", "--port", "0"],
        capture_output=True, encoding="utf-8", timeout=120, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "pip install 'underlay[ray]'" in done.stderr
    assert "missing_extra" in done.stderr


def test_a_cluster_that_is_not_there_is_told_at_once():
    for address, error in (
        ("127.0.0.1:9", ServiceAway),
        ("head", UsageError),
        ("head:none", UsageError),
        ("ray://head:10001", UsageError),
    ):
        with pytest.raises(error) as refused, joined(address):
            pass
        assert address in str(refused.value) or "client protocol" in str(refused.value)


def test_flags_of_ray_without_ray_are_refused(text_bundle):
    done = subprocess.run(
        [sys.executable, "-m", "underlay", "serve", str(text_bundle), "--open", "--replicas", "1:2"],
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "--on ray" in done.stderr
