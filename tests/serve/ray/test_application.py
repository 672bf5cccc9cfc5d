"""The application for Ray Serve's configuration files, without Ray: a front's class as Ray would make it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from underlay.bundle import open_bundle
from underlay.serve.keys import create
from underlay.serve.limits import Limits
from underlay.serve.named import Named
from underlay.serve.ray.application import Front
from underlay.serve.ray.replica import Replica, Source
from underlay.serve.served import Served

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")


class Handle:
    """Replicas of one."""

    def __init__(self, replica: Replica) -> None:
        self.replica, self.answer = replica, self

    def remote(self, rows: Any, seconds: float) -> Any:
        return asyncio.ensure_future(self.replica.answer(rows, seconds))

    def broadcast(self, method: str, *arguments: Any) -> Any:
        handle = self

        class Response:
            async def results_async(self, **options: Any) -> list[Any]:
                return [await getattr(handle.replica, method)(*arguments)]

        return Response()


def request(path: str, body: bytes, *, key: str = "", query: bytes = b"", more: int = 0) -> Request:
    """As Ray's proxy hands it on."""
    headers = [(b"host", b"a"), (b"content-type", b"application/json"), (b"authorization", f"Bearer {key}".encode())]
    headers += [(b"x-%d" % number, b"a") for number in range(more)]
    scope = {
        "type": "http", "method": "POST" if body else "GET", "path": path, "raw_path": path.encode(),
        "query_string": query, "headers": headers, "client": ("10.0.0.1", 1), "server": ("a", 80), "scheme": "http",
        "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    parts = [body[at : at + 300_000] for at in range(0, max(len(body), 1), 300_000)]
    messages = [{"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts]

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        return await asyncio.Event().wait()

    return Request(scope, receive)


def test_a_front_answers_and_refuses_as_a_server_does(text_bundle: Path, tmp_path: Path) -> None:
    key, _ = create(tmp_path / "keys.json", name="test")
    rows = json.dumps({"rows": [{"text": "good"}, {"text": "a bad film"}]}).encode()

    import ray.serve.exceptions  # noqa: F401 - takes seconds, and a front has it long before it is asked

    async def asked() -> None:
        served = Served("reviews", open_bundle(text_bundle))
        replica = Replica(Source("reviews", str(text_bundle), None, served.seal), Limits())
        front = Front(Handle(replica), Named("reviews", text_bundle), str(tmp_path / "keys.json"), Limits())
        await front.check_health()
        answer = await front(request("/predict", rows, key=key))
        told = json.loads(answer.body)
        assert answer.status_code == 200, told
        assert (told["model"], len(told["predictions"])) == ("reviews", 2)
        assert b"x-request-id" not in [name for name, _ in answer.raw_headers], "Ray's proxy adds its own"
        expected = open_bundle(text_bundle).answer({"text": ["good", "a bad film"]})
        assert [row["label"]["prediction"] for row in told["predictions"]] == list(expected.predictions["label"])
        for asking, status, code in (
            (request("/predict", rows), 401, "no_key"),
            (request("/predict", rows[:-1], key=key), 400, "json_syntax"),
            (request("/none", b"", key=key), 404, "not_found"),
            (request("/predict", b" " * (2 << 20), key=key), 413, "body_too_large"),
            (request("/predict", rows, key=key, query=b"a" * 9_000), 414, "url_too_long"),
            (request("/predict", rows, key=key, more=70), 431, "headers_too_large"),
        ):
            answer = await front(asking)
            assert (answer.status_code, json.loads(answer.body)["error"]["code"]) == (status, code)
        answer = await front(request("/v2/health/ready", b""))
        assert answer.status_code == 200

    asyncio.run(asked())
