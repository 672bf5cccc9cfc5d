"""What every request passes: a name, a key, and at the end an answer in one shape, whatever happened inside."""

import json
import logging
import re
import time
from collections.abc import Collection, Mapping
from hashlib import sha256
from secrets import token_hex
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from underlay.serve.access import Access
from underlay.serve.refusals import ClientGone, Refusal
from underlay.serve.served import log_failure
from underlay.serve.service import Service

LOG = logging.getLogger("underlay.serve")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MEDIA = re.compile(r'application/json(\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.IGNORECASE | re.ASCII)


class Entrance:
    """An ASGI application in front of routes: closed but to a key with the scope, for every route that there is.

    Args:
        router: The routes.
        service: For limits and figures.
        access: Who may.
        scope: What a key needs.
        public: Paths that need no key.
        scopes: What it needs instead for a path that begins with this step, as `/feedback`.
    """

    def __init__(
        self,
        router: Router,
        *,
        service: Service,
        access: Access,
        scope: str,
        public: Collection[str] = (),
        scopes: Mapping[str, str] | None = None,
    ) -> None:
        self.router = router
        self.public = frozenset(public)
        self._service = service
        self._access = access
        self._scope = scope
        self._scopes = dict(scopes or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        scope["app"] = self
        scope["underlay.id"] = identity = _request_id(scope)
        scope["underlay.deadline"] = started + self._service.limits.request_seconds
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._headers(identity)]
            await send(message)

        if self._scope == "predict":  # whoever reads the figures is no load
            self._service.metrics.offered.inc()
        try:
            try:
                await self._enter(scope, receive, answer)
            except Refusal as refusal:
                await self._refuse(refusal, scope, receive, answer)
            except HTTPException as error:
                code = {404: "not_found", 405: "method"}.get(error.status_code, "bad_request")
                await self._refuse(Refusal(code, headers=error.headers), scope, receive, answer)
            except ClientGone:
                raise
            except Exception as error:  # noqa: BLE001 - the last border: a client reads a sentence, not a stack
                log_failure("bug", error)
                if status == 0:
                    await self._refuse(Refusal("bug"), scope, receive, answer)
        except ClientGone:
            self._service.metrics.gone.inc()
            return
        key = scope.get("underlay.key")
        if key is not None and (status >= 500 or scope.get("underlay.repeated")):
            self._access.give_back(key, scope["underlay.scope"])
        route = getattr(scope.get("endpoint"), "__name__", "other")
        self._service.metrics.requests.labels(route, status).inc()
        self._service.metrics.seconds.labels(route).observe(time.monotonic() - started)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in self.public:
            peer = scope["client"][0] if scope.get("client") else ""
            first = "/" + scope["path"].lstrip("/").partition("/")[0]
            needed = self._scopes.get(first, self._scope)
            scope["underlay.scope"] = needed
            scope["underlay.key"] = self._access.admit(scope["headers"], peer=peer, scope=needed)
        await self.router(scope, receive, send)

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        self._service.metrics.refused(refusal.code)
        if refusal.status >= 500:
            LOG.warning("refused", extra={"fields": {"code": refusal.code, "request_id": _logged(scope)}})
        told: Mapping[str, Any] = refusal.to_dict(scope["underlay.id"])
        if scope["path"].startswith("/v2"):
            told = {"error": refusal.to_line()}
        await json_response(told, status=refusal.status, headers=refusal.headers)(scope, receive, send)

    def _headers(self, identity: str) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"x-request-id", identity.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        return [*headers, (b"connection", b"close")] if self._service.draining else headers


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Strict JSON in UTF-8."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, dict(headers or {}), "application/json")


async def read_body(request: Request) -> bytes:
    """The body of a request that says it is JSON.

    Raises:
        Refusal: `media_type`, `encoding`.
        ClientGone: The sender left before its end.
    """
    kinds = request.headers.getlist("content-type")
    if len(kinds) != 1 or not _MEDIA.fullmatch(kinds[0]):
        raise Refusal("media_type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal("encoding")
    pieces = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def deadline_of(request: Request) -> float:
    """Until when an answer is of use, of the monotonic clock: a client may ask for less than the server gives.

    Raises:
        Refusal: `deadline_header`.
    """
    most = float(request.scope["underlay.deadline"])
    asked = request.headers.get("x-deadline-ms")
    if asked is None:
        return most
    if not re.fullmatch(r"[1-9][0-9]{0,8}", asked, re.ASCII):
        raise Refusal("deadline_header")
    found = min(most, time.monotonic() + int(asked) / 1e3)
    request.scope["underlay.deadline"] = found  # whoever asks again gets the same, not as much time anew
    return found


def _logged(scope: Scope) -> str:
    """The request's name for a log: of a client's own, which may be a person's number, what SHA-256 begins with."""
    identity: str = scope["underlay.id"]
    given = any(name == b"x-request-id" and value == identity.encode() for name, value in scope["headers"])
    return sha256(identity.encode()).hexdigest()[:16] if given else identity


def _request_id(scope: Scope) -> str:
    """The client's own name of the request where it is one, else one of ours."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value.decode("latin-1")):
            return str(value.decode("ascii"))
    return token_hex(8)
