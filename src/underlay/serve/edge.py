"""The socket's side of a server: what is no plain HTTP/1.1 within its bounds is refused before the application runs.

Uvicorn's protocol over llhttp parses; here are the bounds that it does not have: sizes and number of headers, one Host,
and time for the headers, the body and the reader of an answer.
"""

import asyncio
import http
import json
import logging
from collections.abc import Callable
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from underlay.serve.limits import Limits
from underlay.serve.peers import Crowd, address_of
from underlay.serve.refusals import Refusal
from underlay.serve.tls import Certificate, Secured

LOG = logging.getLogger("underlay.serve")

FRAMING = 64 << 10
"""Bytes of chunk headers that a body may have beside a quarter of its limit: a body in chunks of one byte costs a
call each, and is refused for its framing."""

LINGER = 2.0
"""Seconds that a refused peer's further bytes are read and dropped, so that the refusal reaches it: closing at once
would make the kernel reset the connection under the answer."""


class Edge(HttpToolsProtocol):
    """One connection. `edge` makes the class that a server uses."""

    limits: ClassVar[Limits]
    body_bytes: ClassVar[int]
    refused: ClassVar[Callable[[str], None]]
    crowd: ClassVar[Crowd | None]
    """None: whoever is within TLS has been counted."""

    _peer = ""
    _head = 0
    _body = 0
    _wire = 0
    _in_body = False
    _refusal: str | None = None
    _over = False
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whatever the peer has not taken is seen at once, so that the time for it runs, after a close too. Asyncio
        # takes a buffer within TLS for full at its bound, a plain one beyond it.
        transport.set_write_buffer_limits(high=1 if self.crowd is None else 0)
        self._peer = address_of(transport)
        if self.crowd is not None and not self.crowd.enter(self._peer):
            self._refuse("too_many_connections")
        else:
            self._time(self.limits.header_seconds, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._time(None, None)
        self._stop_write_timer()
        if self.crowd is not None:
            self.crowd.leave(self._peer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._over or self.parser is None:
            return
        self._unset_keepalive_if_required()
        if self._in_body:
            self._wire += len(data)
        else:
            self._head += len(data)
            if self._timer is None:
                self._time(self.limits.header_seconds, "too_slow")
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("bad_request")
            return
        except httptools.HttpParserError:
            self._refuse(self._refusal or "bad_request")
            return
        if not self._in_body and self._head > self.limits.header_bytes:
            self._refuse("headers_too_large")
        elif self._in_body and self._wire > self.body_bytes * 5 // 4 + FRAMING:
            self._refuse("body_too_large")

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.url_bytes:
            self._raise("url_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            self._raise("headers_too_large")

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._raise("headers_too_large")
        names = [name for name, _ in self.headers]
        if names.count(b"host") > 1 or (b"host" not in names and self.parser.get_http_version() != "1.0"):
            self._raise("bad_request")
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if lengths and int(lengths[0]) > self.body_bytes:
            self._raise("body_too_large")
        if self.parser.should_upgrade():
            self._raise("bad_request")
        self._head, self._body, self._wire, self._in_body = 0, 0, 0, True
        self._time(self.limits.body_seconds, "too_slow")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._body > self.body_bytes:
            self._raise("body_too_large")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._time(None, None)
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def shutdown(self) -> None:
        """Close when nothing is on its way: a request that has begun to come is still answered."""
        if not self._over and not self._head:
            super().shutdown()

    def _raise(self, code: str) -> None:
        """Stop the parser: it raises in turn, and what follows in the same bytes is not read."""
        self._refusal = code
        raise Refusal(code)

    def _time(self, seconds: float | None, code: str | None) -> None:
        """Expect the next step within so many seconds; None: nothing is expected."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow, code)

    def _too_slow(self, code: str | None) -> None:
        if code is None and self._head == 0:  # it never said a word
            self.transport.close()
        else:
            self._refuse(code or "too_slow")

    def _refuse(self, code: str) -> None:
        """Answer for the application and close; an answer that is on its way is finished first."""
        self._over = True
        self._time(None, None)
        refusal = Refusal(code)
        type(self).refused(code)
        LOG.warning("refused", extra={"fields": {"code": code, "peer": self.client[0] if self.client else ""}})
        cycle = cast("Any", self.cycle)  # None before the first request, whatever its type says
        if self.transport.is_closing():
            return
        if cycle is not None and cycle.response_complete and self._in_body:
            self.transport.close()  # it was answered before its body was here; a second answer would be another's
            return
        if cycle is not None and not cycle.response_complete:
            if not self._in_body:
                cycle.keep_alive = False  # an earlier request's answer; it closes the connection
                return
            if self.pipeline:  # it waits behind another, whose answer may be half written
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        self.transport.write(_answer(refusal))
        self._in_body = False
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._timer = self.loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def edge(
    limits: Limits,
    *,
    body_bytes: int,
    refused: Callable[[str], None],
    crowd: Crowd,
    certificate: Certificate | None = None,
) -> type[Edge]:
    """What makes the protocol of one listener's connections.

    Args:
        limits: Of the server.
        body_bytes: The largest body.
        refused: Told the code of each request that does not reach the application.
        crowd: Its connections.
        certificate: Of a listener that speaks TLS and nothing else.
    """
    kept: dict[str, Any] = {"limits": limits, "body_bytes": body_bytes, "refused": staticmethod(refused)}
    bound = cast("type[Edge]", type("BoundEdge", (Edge,), kept | {"crowd": crowd if certificate is None else None}))
    if certificate is None:
        return bound

    def secured(**given: Any) -> Secured:
        return Secured(bound(**given), certificate=certificate, limits=limits, crowd=crowd, refused=refused)

    secured.bound = bound  # type: ignore[attr-defined]  # whose bodies may become larger
    return cast("type[Edge]", secured)  # uvicorn calls it, whatever it is


def allow_bodies(protocol: Any, most: int) -> None:
    """Let the connections of a listener send larger bodies, those that are open too.

    Args:
        protocol: That `edge` gave.
        most: Bytes.
    """
    getattr(protocol, "bound", protocol).body_bytes = most


def _answer(refusal: Refusal) -> bytes:
    body = json.dumps(refusal.to_dict("")).encode()
    phrase = http.HTTPStatus(refusal.status).phrase
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"HTTP/1.1 {refusal.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in (headers | refusal.headers).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
