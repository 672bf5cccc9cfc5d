"""Two listeners over one service, until SIGTERM: then what was accepted is answered before the process ends."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from underlay.core import ResourceError, UsageError
from underlay.serve.access import OPEN_SECONDS, Access
from underlay.serve.allowances import Allowances
from underlay.serve.app import admin_app, data_app
from underlay.serve.edge import allow_bodies, edge
from underlay.serve.entrance import Entrance
from underlay.serve.kept_aliases import locked
from underlay.serve.keys import default_path, read_keys
from underlay.serve.limits import Limits
from underlay.serve.named import Named
from underlay.serve.peers import Crowd
from underlay.serve.quotas import Quotas
from underlay.serve.releases import Releases
from underlay.serve.service import Service
from underlay.serve.starting import open_service
from underlay.serve.surroundings import watch, watch_audit
from underlay.serve.tls import Certificate
from underlay.serve.version import Make, Version
from underlay.serve.watching import watch_folders, watch_hanging

LOG = logging.getLogger("underlay.serve")
LOOPBACK = "127.0.0.1"
ADMIN_BODY = 16 << 10
"""Names and a path are all that the second listener takes."""

CUT = 5.0
"""Seconds after the drain in which connections are given up."""

BACKLOG = 512


@dataclass(frozen=True)
class Settings:
    """What one server is told.

    Args:
        bundles: What is served; the first is the default.
        host: Address of the listener for everybody.
        port: Its port; 0: any free one.
        admin_port: Port of the listener for figures, on this machine alone; 0: any free one.
        keys: File of keys; None: the user's own.
        keyless: Whether requests need no key in the first minutes.
        limits: Of everything.
        state: Where answers are kept: a folder, or the address of a database; None: nowhere.
        audit: Folder of the signing key and the checkpoints; None: the state's.
        keep_inputs: Whether inputs are kept, redacted, or their digests alone.
        retain_days: That an answer without a label is kept.
        review_below: Confidence under which an answer waits for a person.
        review_sample: Share of the other answers that wait all the same.
        four_eyes: Whether the key that asked may not decide.
        tls_cert: PEM chain of the listener for everybody; None: it speaks plain HTTP.
        tls_key: Its key.
        usage: File that counts what keys asked today; None: beside the file of keys.
        aliases: File that keeps what operators change; None: `aliases.json` in a state that is a folder, else nowhere.
    """

    bundles: Sequence[Named]
    host: str = LOOPBACK
    port: int = 8000
    admin_port: int = 8001
    keys: Path | None = None
    keyless: bool = False
    limits: Limits = field(default_factory=Limits)
    state: str | None = None
    audit: Path | None = None
    keep_inputs: bool = True
    retain_days: float = 30.0
    review_below: float = 0.0
    review_sample: float = 0.0
    four_eyes: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    usage: Path | None = None
    aliases: Path | None = None


@dataclass(frozen=True)
class Started:
    """What a person wants to know once it runs.

    Args:
        url: For everybody.
        admin_url: For figures.
        name: Of the default model.
        version: That answers for it.
        rate: Rows a second that it answered before it served.
        versions: Of all models, by name.
        stopped: Whether an operator had stopped all.
    """

    url: str
    admin_url: str
    name: str
    version: str
    rate: float
    versions: Mapping[str, Sequence[str]]
    stopped: bool


def run(settings: Settings, *, started: Callable[[Started], None] = lambda told: None, make: Make = Version) -> None:
    """Serve until SIGTERM or Ctrl-C; returns when every accepted request was answered.

    Args:
        settings: Of the server.
        started: Told once, when both ports answer.
        make: Makes a version of a bundle.

    Raises:
        UsageError: `open`, `no_keys`, `name`, `limit`, `address`, `tls`, `usage`, `state`, `state_locked`,
            `state_newer`.
        ResourceError: `port_in_use`, `port_denied`.
        StoreFailed: The state cannot be written, or its database does not answer.
        BundleRefused: The bundle is not what it was, or does not answer its golden rows as then.
    """
    keys = settings.keys or default_path()
    _check_access(settings, keys)
    if settings.port == settings.admin_port != 0:
        raise UsageError(f"both listeners would take port {settings.port}", "pass another --admin-port", code="address")
    certificate, allowances = _certificate(settings), _allowances(settings, keys)
    aliases = _aliases(settings)
    with (
        _bound(settings.host, settings.port) as data,
        _bound(LOOPBACK, settings.admin_port) as admin,
        locked(aliases),
    ):
        access = Access(
            keys,
            open_seconds=OPEN_SECONDS if settings.keyless else 0.0,
            failures=settings.limits.failed_keys,
            allowances=allowances,
        )
        service = open_service(settings.bundles, limits=settings.limits, path=aliases, make=make)
        with _recording(service, settings):
            try:
                asyncio.run(_serve(service, access, data, admin, started, certificate, _kept_in(settings), aliases))
            finally:
                allowances.close()


@contextlib.contextmanager
def _recording(service: Service, settings: Settings) -> Iterator[None]:
    """Keep what the service answers, if there is a place for it."""
    if settings.state is None:
        if settings.review_below or settings.review_sample or settings.four_eyes:
            raise UsageError("what waits for a review is kept in a state", "pass --state DIR", code="review")
        yield
        return
    from underlay.serve.state import ReviewRules, open_journal

    journal = open_journal(
        settings.state,
        settings.audit,
        served=service.served,
        inputs=settings.keep_inputs,
        days=settings.retain_days,
        reviews=ReviewRules(settings.review_below, settings.review_sample, settings.four_eyes),
    )
    service.records = journal
    journal.redacted = service.metrics.redacted
    journal.judged = service.metrics.judged
    watch_audit(
        service.metrics.registry,
        head=lambda: journal.store.head.seq,
        failing=lambda: float(journal.store.checkpoint_failing),
    )
    try:
        for version in service.versions():
            if version is not service.model.prod:
                journal.started(version.served)
        yield
    finally:
        journal.close()


def _certificate(settings: Settings) -> Certificate | None:
    """What the listener for everybody proves itself with.

    Raises:
        UsageError: `tls`.
    """
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise UsageError("TLS needs a certificate and its key", "pass --tls-cert FILE --tls-key FILE", code="tls")
    return Certificate(settings.tls_cert, settings.tls_key)


def _allowances(settings: Settings, keys: Path) -> Allowances:
    """What keys may ask; the file that counts is tried before anybody depends on it.

    Raises:
        UsageError: `usage`.
        ResourceError: `usage`.
    """
    path = settings.usage or keys.with_name(f"{keys.stem}.usage.json")
    quotas = Quotas(path)
    if not settings.keyless:
        try:
            quotas.check()
        except ResourceError as error:
            raise ResourceError(
                f"what keys ask in a day cannot be counted in {path}: {error}",
                "pass --usage FILE, in a folder that can be written",
                code="usage",
            ) from error
    return Allowances(settings.limits, quotas)


def _kept_in(settings: Settings) -> Path | None:
    """The folder on whose disk answers are kept, if there is one."""
    return None if settings.state is None or "://" in settings.state else Path(settings.state)


def _aliases(settings: Settings) -> Path | None:
    """The file that outlives the server, if there is a place for one."""
    folder = _kept_in(settings)
    return settings.aliases or (None if folder is None else folder / "aliases.json")


class _Listener(uvicorn.Server):
    """Leaves signals to us: two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(
    service: Service,
    access: Access,
    data: socket.socket,
    admin: socket.socket,
    started: Callable[[Started], None],
    certificate: Certificate | None,
    folder: Path | None,
    aliases: Path | None,
) -> None:
    limits, loop, stop = service.limits, asyncio.get_running_loop(), asyncio.Event()
    crowd = Crowd(limits)
    public = _listener(
        data_app(service, access), service, body_bytes=service.body_bytes, crowd=crowd, certificate=certificate
    )
    # a model that is loaded later may take larger bodies
    service.on_change = lambda: allow_bodies(public.config.http, service.body_bytes)
    releases = Releases(service, aliases)
    private = _listener(admin_app(releases, access), service, body_bytes=ADMIN_BODY, crowd=Crowd(limits))
    watch(
        service.metrics.registry,
        connections=lambda: crowd.total,
        working=lambda: float(service.records.working),
        keys_expire=access.expires,
        certificate_expires=None if certificate is None else lambda: certificate.expires,
        folder=folder,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service.start()
    serving = [loop.create_task(public.serve([data])), loop.create_task(private.serve([admin]))]
    watching = [
        loop.create_task(watch_hanging(service)),
        loop.create_task(watch_folders(service, releases.loader)),
    ]
    while not (public.started and private.started):
        await asyncio.sleep(0.01)
    told = Started(
        _url(data, "http" if certificate is None else "https"),
        _url(admin, "http"),
        service.served.name,
        service.served.version,
        _rate(service),
        {name: list(model.versions) for name, model in service.models.items()},
        service.stopped,
    )
    started(told)
    LOG.info("started", extra={"fields": {"url": told.url, "model": told.name, "version": told.version}})
    await stop.wait()
    for number in (signal.SIGTERM, signal.SIGINT):  # a second one ends the process at once
        loop.remove_signal_handler(number)
    service.draining = True
    LOG.info("draining")
    await asyncio.sleep(limits.leave_seconds)
    public.should_exit = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(serving[0]), limits.drain_seconds)
    for task in watching:
        task.cancel()
    releases.close()
    await service.stop()
    private.should_exit = True
    await asyncio.gather(*serving)
    LOG.info("stopped")


def _listener(
    app: Entrance, service: Service, *, body_bytes: int, crowd: Crowd, certificate: Certificate | None = None
) -> _Listener:
    limits = service.limits
    config = uvicorn.Config(
        app,
        http=edge(limits, body_bytes=body_bytes, refused=service.metrics.refused, crowd=crowd, certificate=certificate),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever sends X-Forwarded-For could be anybody
        backlog=BACKLOG,
        timeout_keep_alive=max(1, round(limits.idle_seconds)),
        timeout_graceful_shutdown=round(limits.drain_seconds + CUT),
    )
    return _Listener(config)


@contextlib.contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket.

    Raises:
        UsageError: `address`: the host is none of this machine's.
        ResourceError: `port_in_use`, `port_denied`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host!r} is no address: {error}", "pass --host 127.0.0.1", code="address") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            raise _not_bound(error, host, port) from error
        yield listener


def _not_bound(error: OSError, host: str, port: int) -> UsageError | ResourceError:
    if error.errno == errno.EADDRINUSE:
        return ResourceError(
            f"port {port} of {host} is taken by another process", "stop it, or pass another port", code="port_in_use"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ResourceError(f"port {port} may not be used", "pass one above 1023", code="port_denied")
    return UsageError(f"cannot listen on {host}: {error.strerror}", "pass --host 127.0.0.1", code="address")


def _check_access(settings: Settings, keys: Path) -> None:
    if settings.keyless and not _is_loopback(settings.host):
        raise UsageError(
            f"--open would let everybody in who reaches {settings.host}",
            "use it on 127.0.0.1 only, or make a key with `underlay keys create`",
            code="open",
        )
    if not settings.keyless and not read_keys(keys):
        raise UsageError(
            f"{keys} holds no key, so nobody could ask anything",
            "make one with `underlay keys create`, or pass --open for ten minutes on this machine",
            code="no_keys",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _rate(service: Service) -> float:
    pace = service.model.prod.batcher.pace
    return pace.rate / pace.size
