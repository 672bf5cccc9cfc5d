"""Requests of every kind, for comparing two servers: what one says, the other must say."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.serve.conftest import Server


@dataclass(frozen=True)
class Question:
    """One request.

    Args:
        path: Of the address.
        body: JSON, bytes as they are, or nothing: then it is a GET.
        headers: Beside the key.
        key: Whether the key is sent.
    """

    path: str = "/predict"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    key: bool = True


def _rows(*texts: Any, **more: Any) -> dict[str, Any]:
    return {"rows": [{"text": text} for text in texts], **more}


def _tensor(*texts: str, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}], **more}


QUESTIONS = [
    Question(body=_rows("good")),
    Question(body=_rows("good", "a bad film", "的 story 🙂")),
    Question(body=_rows("good", scores=True, id="mine")),
    Question(body={"row": {"text": "one"}}),
    Question(body={"row": {"text": " "}}),
    Question(body=_rows("good", " ", "bad")),
    Question(body=_rows("good", 3)),
    Question(body=_rows("good", None)),
    Question(body=_rows("a" * 30_000)),
    Question(body=_rows(*["many"] * 65)),
    Question(body=_rows()),
    Question(body={"rows": [{"other": 1}]}),
    Question(body=b"{"),
    Question(body=b'{"rows": [{"text": "\xff"}]}'),
    Question(body=_rows("good"), key=False),
    Question(body=_rows("good"), headers={"content-type": "text/plain"}),
    Question(body=_rows("good"), headers={"content-encoding": "gzip"}),
    Question(body=_rows("good"), headers={"x-deadline-ms": "0"}),
    Question(body=_rows("good"), headers={"x-request-id": "r1"}),
    Question(body=b'{"rows": [' + b" " * (1 << 20) + b"]}"),
    Question(path="/v2/models/reviews/infer", body=_tensor("good", "bad")),
    Question(path="/v2/models/reviews/infer", body=_tensor("good", " ")),
    Question(path="/v2/models/reviews/infer", body=_tensor("good", outputs=[{"name": "label.probabilities"}])),
    Question(path="/v2/models/none/infer", body=_tensor("good")),
    Question(path="/v2/health/live", key=False),
    Question(path="/v2/health/ready", key=False),
    Question(path="/v2"),
    Question(path="/v2/models/reviews"),
    Question(path="/v2/models/reviews/ready"),
    Question(path="/openapi.json"),
    Question(path="/predict"),
    Question(path="/none"),
    Question(path="/predict/reviews/versions/1", body=_rows("good")),
    Question(path="/predict/reviews/versions/9", body=_rows("good")),
]


def asked(server: Server, question: Question) -> httpx.Response:
    """What a server says."""
    headers = {"content-type": "application/json", **question.headers}
    if question.key:
        headers["authorization"] = f"Bearer {server.key}"
    if question.body is None:
        return httpx.get(server.url + question.path, headers=headers, timeout=120)
    content = question.body if isinstance(question.body, bytes) else json.dumps(question.body).encode()
    return httpx.post(server.url + question.path, content=content, headers=headers, timeout=120)


def without_chance(found: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body but for what is drawn: ids of requests, and seconds with jitter."""
    told = found.json()
    if isinstance(told, dict) and isinstance(told.get("error"), dict):
        told["error"].pop("request_id")
    drawn = ("x-request-id", "date", "retry-after", "content-length")
    return found.status_code, {name: value for name, value in found.headers.items() if name not in drawn}, told
