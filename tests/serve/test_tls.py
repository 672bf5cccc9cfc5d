"""TLS: from two files that may be renewed, and no way around the bounds of a connection."""

import os
import shutil
import socket
import ssl
import time
from contextlib import suppress

import httpx
import pytest
from tests.serve import certificates
from tests.serve.conftest import Server, exchange, serving

from underlay.core import UsageError
from underlay.serve.tls import LOOK_SECONDS, Certificate

LIMITS = ["header_seconds=1", "idle_seconds=2", "write_seconds=1", "peer_connections=5"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return certificates.write(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def secured(text_bundle, files, tmp_path_factory):
    """A server that speaks TLS and waits for nobody."""
    limits = [word for limit in LIMITS for word in ("--limit", limit)]
    options = ["--tls-cert", str(files[0]), "--tls-key", str(files[1]), *limits]
    with serving(text_bundle, tmp_path_factory.mktemp("secured"), *options) as found:
        yield found
        assert found.stop() == 0


def trusting(chain) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(chain))


def serial(address: tuple[str, int]) -> int:
    """Of the certificate that a server shows."""
    with socket.create_connection(address, timeout=10) as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as peer:
            return hash(peer.getpeercert(binary_form=True))


def alive(server: Server, chain) -> bool:
    with httpx.Client(verify=trusting(chain)) as client:
        return client.get(f"{server.url}/v2/health/live").status_code == 200


def test_a_server_with_a_certificate_answers_in_tls_and_says_so(secured, files):
    assert secured.url.startswith("https://127.0.0.1:")
    assert secured.admin_url.startswith("http://127.0.0.1:")
    with httpx.Client(verify=trusting(files[0]), headers=secured.headers()) as client:
        for _ in range(2):  # the second over the same connection
            found = client.post(f"{secured.url}/predict", json={"row": {"text": "a quiet film"}})
            assert found.status_code == 200, found.text
    expires = secured.figures()["underlay_certificate_expires_seconds"]
    assert 29 * 86_400 < expires - time.time() < 31 * 86_400


def test_versions_before_1_2_are_refused(secured):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(secured.address, timeout=10) as plain, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(plain)


@pytest.mark.row("T08")
@pytest.mark.parametrize(
    "data", [b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n", bytes(range(256)) * 16], ids=["HTTP", "noise"]
)
def test_what_is_no_tls_is_closed_without_a_word_in_the_log(secured, files, data):
    before = len(secured.logged())
    secured.raw(data)
    assert alive(secured, files[0])
    assert len(secured.logged()) - before <= 1
    assert "Traceback" not in secured.log.read_text(encoding="utf-8")


@pytest.mark.row("T14")
def test_a_peer_that_does_not_finish_its_handshake_is_left(secured):
    started = time.monotonic()
    assert secured.raw(b"") == b""
    assert secured.raw(bytes.fromhex("16030100c8010000c40303")) == b""
    assert time.monotonic() - started < 6


@pytest.mark.row("T14")
def test_a_peer_that_is_silent_within_tls_is_left(secured, files):
    started = time.monotonic()
    with (
        socket.create_connection(secured.address, timeout=10) as plain,
        trusting(files[0]).wrap_socket(plain, server_hostname="127.0.0.1") as peer,
    ):
        assert exchange(peer, b"") == b""
    assert time.monotonic() - started < 6


@pytest.mark.row("T15")
def test_a_peer_that_reads_no_answer_within_tls_is_left(secured, files):
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + secured.key.encode() + b"\r\n\r\n"
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.settimeout(5)
    plain.connect(secured.address)
    with trusting(files[0]).wrap_socket(plain, server_hostname="127.0.0.1") as peer:
        peer.settimeout(1)
        left, started = asked * 3_000, time.monotonic()
        with pytest.raises(OSError, match=r"(?i)reset|pipe|eof|closed|protocol"):
            while time.monotonic() - started < 30:
                with suppress(TimeoutError, ssl.SSLWantWriteError):
                    left = left[peer.send(left[:16_384]) :] or asked
    assert alive(secured, files[0])
    assert secured.figures()["underlay_connections"] <= 1


@pytest.mark.row("T17")
def test_connections_are_counted_before_their_handshake(secured, files):
    time.sleep(1)  # those of other tests are gone
    idle = [socket.create_connection(secured.address, timeout=10) for _ in range(5)]
    try:
        assert secured.raw(b"") == b""
        assert secured.figures()['underlay_errors_total{reason="too_many_connections"}'] >= 1
        with pytest.raises((httpx.ConnectError, httpx.ReadError)):
            alive(secured, files[0])
    finally:
        for peer in idle:
            peer.close()
    time.sleep(0.2)
    assert alive(secured, files[0])


def test_a_renewed_certificate_is_shown_without_a_restart_and_half_of_one_never(text_bundle, tmp_path):
    used, new = tmp_path / "used", tmp_path / "new"
    used.mkdir(), new.mkdir()
    chain, key = certificates.write(used)
    certificates.write(new, days=60)
    with serving(text_bundle, tmp_path, "--tls-cert", str(chain), "--tls-key", str(key)) as server:
        before = serial(server.address)
        shutil.copy(new / "chain.pem", used / "next.pem")
        os.replace(used / "next.pem", chain)
        time.sleep(LOOK_SECONDS + 0.1)
        assert serial(server.address) == before  # the key is not there yet
        assert [line["event"] for line in server.logged()][-1] == "certificate_refused"
        shutil.copy(new / "key.pem", used / "next.pem")
        os.replace(used / "next.pem", key)
        time.sleep(LOOK_SECONDS + 0.1)
        assert serial(server.address) != before
        assert alive(server, chain)
        assert server.figures()["underlay_certificate_expires_seconds"] - time.time() > 50 * 86_400


def test_a_key_that_everybody_reads_is_refused(files, tmp_path, text_bundle, underlay):
    chain, key = (shutil.copy(path, tmp_path) for path in files)
    os.chmod(key, 0o604)
    options = ["--open", "--port", "0", "--admin-port", "0", "--tls-cert", str(chain)]
    done = underlay("serve", str(text_bundle), *options, "--tls-key", str(key))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("underlay: tls: ")
    assert "chmod 600" in done.stderr
    alone = underlay("serve", str(text_bundle), *options)
    assert (alone.returncode, "--tls-key" in alone.stderr) == (2, True)


def test_files_that_are_no_certificate_with_its_key_are_refused(files, tmp_path):
    other, locked = tmp_path / "other", tmp_path / "locked"
    other.mkdir(), locked.mkdir()
    certificates.write(other)
    certificates.write(locked, password=b"secret")
    for chain, key in (
        (files[0], other / "key.pem"),
        (locked / "chain.pem", locked / "key.pem"),
        (files[1], files[1]),
        (files[0], tmp_path / "missing.pem"),
    ):
        with pytest.raises(UsageError) as refused:
            Certificate(chain, key)
        assert refused.value.code == "tls"


def test_an_expired_certificate_is_said(tmp_path, caplog):
    chain, key = certificates.write(tmp_path, days=-1)
    assert Certificate(chain, key).expires < time.time()
    assert "certificate_expired" in caplog.text
