"""TLS from two files, which may be renewed while the server runs."""

import asyncio
import logging
import ssl
import stat
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509

from underlay.core import UsageError
from underlay.serve.limits import Limits
from underlay.serve.peers import Crowd, address_of

LOG = logging.getLogger("underlay.serve")

LOOK_SECONDS = 2.0
"""After which the files are looked at again when somebody connects."""

SHUTDOWN_SECONDS = 5.0
"""That a peer has to agree to the end of a connection."""


class Certificate:
    """A certificate with its key, as the files have it.

    Args:
        certificate: PEM: the server's own certificate, then those that lead to a known authority.
        key: PEM, without a password, which the world may not read.
        clock: Seconds that never jump.

    Raises:
        UsageError: `tls`: a file is missing, open to everybody, or not what it should be.
    """

    def __init__(self, certificate: Path, key: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._seen = self._stamp()
        self._looked = clock()
        self.context, self.expires = _loaded(certificate, key)

    def renewed(self) -> ssl.SSLContext:
        """What the next connection is made with: that of the newest files that fit each other."""
        if self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            try:
                seen = self._stamp()
                if seen != self._seen:
                    self.context, self.expires = _loaded(self._certificate, self._key)
                    self._seen = seen
                    LOG.info("certificate_renewed", extra={"fields": {"expires": int(self.expires)}})
            except (UsageError, OSError) as error:  # half of a renewal: looked at again until it is whole
                LOG.warning("certificate_refused", extra={"fields": {"error": str(error)}})
        return self.context

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        try:
            return tuple(
                (found.st_ino, found.st_mtime_ns, found.st_size)
                for found in (path.stat() for path in (self._certificate, self._key))
            )
        except OSError as error:
            raise _refused(f"{error.filename} cannot be read: {error.strerror}", "name the files") from error


class Secured(SSLProtocol):
    """One connection before it is HTTP: counted from its first packet, and not waited for longer than for headers.

    Asyncio's own listener would give a peer a minute for the handshake, and count it afterwards only.

    Args:
        inner: What speaks HTTP within.
        certificate: Of the server.
        limits: Of the server.
        crowd: Connections of the listener.
        refused: Told the code of a connection that is not taken.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        *,
        certificate: Certificate,
        limits: Limits,
        crowd: Crowd,
        refused: Callable[[str], None],
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            inner,
            certificate.renewed(),
            None,  # type: ignore[arg-type]  # nobody waits; asyncio's own default says so too
            server_side=True,
            ssl_handshake_timeout=limits.header_seconds,  # type: ignore[arg-type]  # a time, whole or not
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._crowd = crowd
        self._refused = refused
        self._peer = ""

    def connection_made(self, transport: Any) -> None:
        self._peer = address_of(transport)
        # What the peer has not taken is to be seen within, where the time for it runs.
        transport.set_write_buffer_limits(high=0)
        if self._crowd.enter(self._peer):
            super().connection_made(transport)
        else:  # nothing can be said before the handshake, which is what costs
            self._refused("too_many_connections")
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._crowd.leave(self._peer)
        super().connection_lost(exc)


def _loaded(certificate: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    """A context, and when its certificate expires in seconds since 1970."""
    if stat.S_IMODE(key.stat().st_mode) & 0o007:
        raise _refused(f"{key} can be read by everybody on this machine", f"chmod 600 {key}, and get a new key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
        found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError) as error:  # ssl.SSLError among them
        raise _refused(
            f"{certificate} and {key} are no certificate with its key: {error}",
            "name a PEM chain that begins with the server's own certificate, and its key without a password",
        ) from error
    expires = found.not_valid_after_utc.timestamp()
    if expires < time.time():
        LOG.warning("certificate_expired", extra={"fields": {"expires": int(expires)}})
    return context, expires


def _refused(what: str, do: str) -> UsageError:
    return UsageError(what, do, code="tls")
