"""What reaches the socket and is no plain request within its bounds is refused before anything else happens."""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.serve.conftest import Server, exchange, serving

BODY = b'{"row":{"text":"a quiet film"}}'


def request(server: Server, *lines: bytes, path: bytes = b"/predict", body: bytes = BODY, host: bool = True) -> bytes:
    """A POST with these header lines besides the key and the type."""
    head = [b"POST " + path + b" HTTP/1.1"]
    head += [b"Host: underlay"] if host else []
    head += [b"Authorization: Bearer " + server.key.encode(), b"Content-Type: application/json", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def length(body: bytes = BODY) -> bytes:
    return b"Content-Length: %d" % len(body)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


def closed(server: Server, data: bytes, expected: int) -> bytes:
    """The one answer to these bytes; the server closes after it, and still answers others."""
    answer = server.raw(data)
    assert status(answer) == expected, answer[:200]
    assert answer.count(b"content-length: ") == 1
    assert b"connection: close" in answer.lower()
    assert server.get("/v2/health/live").status_code == 200
    return answer


def test_a_plain_request_over_a_bare_socket_is_answered(server):
    answer = server.raw(request(server, length(), b"Connection: close"))
    assert status(answer) == 200
    assert b'"predictions"' in answer


@pytest.mark.row("T01")
def test_a_request_without_a_host_or_with_two_is_refused(server):
    closed(server, request(server, length(), host=False), 400)
    closed(server, request(server, length(), b"Host: other"), 400)


@pytest.mark.row("T02")
def test_two_lengths_in_one_request_are_refused_and_the_one_behind_it_never_runs(server):
    smuggled = request(server, length(), b"Connection: close")
    before = server.figures().get('underlay_requests_total{route="predict",status="200"}', 0)
    closed(server, request(server, length(), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled), 400)
    assert server.figures().get('underlay_requests_total{route="predict",status="200"}', 0) == before


@pytest.mark.row("T03")
@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 31", b"Content-Length: 30"],
        [b"Content-Length: -1"],
        [b"Content-Length: +5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: " + b"9" * 20],
    ],
    ids=["two", "negative", "plus", "list", "twenty digits"],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(server, lines):
    closed(server, request(server, *lines), 400)


@pytest.mark.row("T04")
@pytest.mark.parametrize(
    "line",
    [b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding : chunked"],
)
def test_an_unknown_transfer_encoding_is_refused(server, line):
    closed(server, request(server, line, body=b"1f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400)


@pytest.mark.row("T05")
@pytest.mark.parametrize(
    "lines",
    [[b"X-Long: " + b"a" * 200_000], [b"X-%d: a" % number for number in range(5_000)], [b"X: a"] * 70],
    ids=["200 KB", "5,000 headers", "70 headers"],
)
def test_headers_beyond_their_bounds_are_refused(server, lines):
    answer = closed(server, request(server, *lines, length()), 431)
    assert code(answer) == "headers_too_large"


@pytest.mark.row("T05")
def test_a_header_that_never_ends_is_refused_while_it_comes(server):
    assert status(server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 400_000)) == 431


@pytest.mark.row("T06")
def test_an_address_beyond_its_bound_is_refused(server):
    answer = server.raw(request(server, length(), path=b"/" + b"a" * 200_000))
    assert status(answer) in (414, 431)
    closed(server, request(server, length(), path=b"/" + b"a" * 9_000), 414)


@pytest.mark.row("T07")
@pytest.mark.parametrize(
    "data",
    [
        b"GET /v2/health/live HTTP/1.1\nHost: a\n\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    ],
    ids=["bare line feed", "NUL", "folded line"],
)
def test_line_ends_and_characters_that_servers_read_differently_are_refused(server, data):
    closed(server, data, 400)


@pytest.mark.row("T08")
@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
        bytes((7 * number + number // 3) % 256 for number in range(4_096)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["TLS", "noise", "HTTP/2", "CONNECT", "websocket"],
)
def test_what_is_no_http_leaves_one_line_in_the_log(server, data):
    before = len(server.logged())
    answer = server.raw(data)
    assert not answer or status(answer) == 400
    told = server.logged()[before:]
    assert len(told) <= 1
    assert "Traceback" not in server.log.read_text(encoding="utf-8")


@pytest.mark.row("T09")
def test_a_body_that_says_it_is_too_large_is_refused_before_a_byte_of_it(server):
    started = time.monotonic()
    answer = closed(server, request(server, b"Content-Length: %d" % (2 << 20), body=b""), 413)
    assert code(answer) == "body_too_large"
    assert time.monotonic() - started < 5


@pytest.mark.row("T10")
def test_a_body_in_chunks_is_refused_at_the_bound(server):
    piece = b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)
    answer = server.raw(request(server, b"Transfer-Encoding: chunked", body=piece * 40))
    assert status(answer) == 413


@pytest.mark.row("T10")
def test_a_body_in_chunks_of_one_byte_is_refused_for_its_framing(server):
    started = processor_seconds(server)
    answer = server.raw(request(server, b"Transfer-Encoding: chunked", body=b"1\r\n \r\n" * 3_000_000))
    assert status(answer) == 413
    assert processor_seconds(server) - started <= 2


def processor_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_refused_request_gets_one_answer_however_much_of_its_body_follows(server):
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(server.address, timeout=20) as peer:
        peer.sendall(head)
        first = peer.recv(65_536)  # without a key its body is of no use
        assert status(first) == 401
        rest = exchange(peer, (b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)) * 40)
    assert b"HTTP/1.1 " not in rest  # the end of the first answer at most


def test_what_follows_a_request_is_answered_after_it_or_not_at_all(server):
    good = request(server, length())
    two = server.raw(good + request(server, length(), b"Connection: close"))
    assert two.count(b"HTTP/1.1 200 OK") == 2
    junk = server.raw(good + b"junk\r\n\r\n")
    assert status(junk) == 200
    assert junk.count(b"content-length: ") == 1


@pytest.mark.row("T11")
def test_a_compressed_body_is_refused_unread(server):
    found = server.post("/predict", b"\x1f\x8b" + b"\0" * 100, **{"content-encoding": "gzip"})
    assert (found.status_code, found.json()["error"]["code"]) == (415, "encoding")


def test_a_body_in_ordinary_chunks_is_answered(server):
    def pieces():
        yield BODY[:10]
        yield BODY[10:]

    headers = server.headers(**{"content-type": "application/json"})
    assert httpx.post(f"{server.url}/predict", content=pieces(), headers=headers, timeout=60).status_code == 200


@pytest.fixture(scope="module")
def hasty(text_bundle, tmp_path_factory):
    """A server that waits for nobody."""
    limits = ["header_seconds=0.5", "body_seconds=1", "idle_seconds=1", "write_seconds=1", "connections=20"]
    limits.append("peer_connections=12")
    options = [word for limit in limits for word in ("--limit", limit)]
    with serving(text_bundle, tmp_path_factory.mktemp("hasty"), *options) as found:
        yield found


@pytest.mark.row("T12", "T14")
@pytest.mark.parametrize("said", [b"", b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: "], ids=["silent", "slow"])
def test_a_peer_that_does_not_finish_its_headers_is_left(hasty, said):
    started = time.monotonic()
    answer = hasty.raw(said)
    assert time.monotonic() - started < 5
    assert not said or status(answer) == 408


@pytest.mark.row("T12")
def test_a_byte_now_and_then_does_not_buy_more_time(hasty):
    started = time.monotonic()
    with socket.create_connection(hasty.address, timeout=10) as peer:
        for letter in b"GET /v2/health/live HTTP/1.1\r\nHost: a":
            try:
                peer.sendall(bytes([letter]))
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(0.1)
            if time.monotonic() - started > 3:
                break
        answer = exchange(peer, b"")
    assert not answer or status(answer) == 408
    assert time.monotonic() - started < 6


@pytest.mark.row("T13")
def test_a_body_that_does_not_come_is_not_waited_for_and_takes_no_place_in_the_queue(hasty):
    started = time.monotonic()
    with socket.create_connection(hasty.address, timeout=10) as peer:
        peer.sendall(request(hasty, length(), body=BODY[:5]))
        time.sleep(0.2)
        assert hasty.figures()["underlay_queue_rows"] == 0
        answer = exchange(peer, b"")
    assert (status(answer), code(answer)) == (408, "too_slow")
    assert time.monotonic() - started < 5


@pytest.mark.row("T15")
def test_a_peer_that_reads_no_answer_is_left(hasty):
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + hasty.key.encode() + b"\r\n\r\n"
    left = memoryview(asked * 300_000)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.settimeout(1)
        peer.connect(hasty.address)
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() - started < 30:
                with suppress(TimeoutError):
                    left = left[peer.send(left) :]
    assert hasty.get("/v2/health/live").status_code == 200
    assert hasty.figures()["process_open_fds"] < 40


@pytest.mark.row("T17")
def test_beyond_the_bound_of_connections_a_new_one_is_refused_and_an_open_one_is_served(hasty):
    with httpx.Client(base_url=hasty.url, headers=hasty.headers(), timeout=30) as client:
        assert client.get("/v2").status_code == 200
        idle = [connected(hasty, f"127.0.0.{2 + number % 2}") for number in range(19)]
        try:
            with socket.create_connection(hasty.address, timeout=10) as late:
                answer = exchange(late, b"")
            assert (status(answer), code(answer)) == (503, "too_many_connections")
            assert b"retry-after:" in answer
            assert client.get("/v2").status_code == 200
        finally:
            for peer in idle:
                peer.close()


def connected(server: Server, source: str) -> socket.socket:
    return socket.create_connection(server.address, timeout=10, source_address=(source, 0))


@pytest.mark.row("T17")
def test_a_peer_beyond_its_own_bound_is_refused_and_another_is_served(hasty):
    time.sleep(1)  # those of other tests are gone
    idle = [connected(hasty, "127.0.0.4") for _ in range(12)]
    try:
        with connected(hasty, "127.0.0.4") as late:
            answer = exchange(late, b"")
        assert (status(answer), code(answer)) == (503, "too_many_connections")
        assert hasty.get("/v2").status_code == 200
    finally:
        for peer in idle:
            peer.close()
    time.sleep(0.2)
    with connected(hasty, "127.0.0.4") as again:
        answer = exchange(again, b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert status(answer) == 200
    assert hasty.figures()["underlay_connections"] <= 2


@pytest.mark.row("T12")
def test_five_hundred_slow_peers_keep_nobody_else_waiting(server):
    head = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: "
    slow = [connected(server, f"127.1.{number // 200}.{1 + number % 200}") for number in range(500)]
    try:
        assert server.figures()["underlay_connections"] >= 500
        with httpx.Client(base_url=server.url, headers=server.headers(), timeout=30) as client:
            for number in range(len(head)):
                for peer in slow:
                    with suppress(BrokenPipeError, ConnectionResetError):  # its time is up
                        peer.sendall(head[number : number + 1])
                assert client.post("/predict", json={"row": {"text": f"film {number}"}}).status_code == 200
    finally:
        for peer in slow:
            peer.close()


@pytest.mark.row("T05", "T10")
def test_what_is_refused_for_its_size_is_not_held(server):
    def peak() -> int:
        lines = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    server.post("/predict", {"row": {"text": "a " * 9_000}})
    before = peak()
    for _ in range(3):
        server.raw(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 4_000_000)
        server.raw(
            request(server, b"Transfer-Encoding: chunked", body=(b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)) * 200)
        )
    assert peak() - before < 4 << 20, "a header of 4 MB, or a body of 13 MB, was held"


@pytest.mark.row("T18")
def test_an_unknown_address_and_a_wrong_method_say_so_in_json(server):
    lost = server.get("/nothing")
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "not_found")
    wrong = server.get("/predict")
    assert (wrong.status_code, wrong.json()["error"]["code"], wrong.headers["allow"]) == (405, "method", "POST")
    assert httpx.delete(f"{server.url}/docs", headers=server.headers()).status_code == 405


@pytest.mark.row("T19")
@pytest.mark.parametrize("kind", ["text/plain", "text/json;charset=gbk", "application/json; charset=gbk", ""])
def test_another_type_of_body_is_refused(server, kind):
    headers = server.headers(**({"content-type": kind} if kind else {}))
    found = httpx.post(f"{server.url}/predict", content=BODY, headers=headers)
    assert (found.status_code, found.json()["error"]["code"]) == (415, "media_type")


@pytest.mark.row("T20")
def test_a_request_id_is_given_back_or_replaced(server):
    given = server.post("/predict", BODY, **{"x-request-id": "order-7_a"})
    assert given.headers["x-request-id"] == "order-7_a"
    for odd in ("a" * 65, "a b", "a;b"):
        replaced = server.post("/predict", BODY, **{"x-request-id": odd})
        assert replaced.status_code == 200
        assert len(replaced.headers["x-request-id"]) == 16
    split = server.raw(request(server, length(), b"X-Request-Id: a\r\nSet-Cookie: x", b"Connection: close"))
    assert b"set-cookie" not in split.lower()
