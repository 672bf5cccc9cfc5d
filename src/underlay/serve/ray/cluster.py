"""Meeting a Ray cluster: an existing one by its address, or one of this machine alone, with a token either way."""

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Iterator, MutableMapping
from typing import Any

from underlay.core import MissingExtra, ServiceAway, UsageError

STORE_BYTES = 128 << 20
"""Of shared memory, where requests above 100 kB pass to another process: eight of the largest bodies."""

REPORT_SECONDS = "1"
"""Between two reports of a replica's load; Ray's ten would make the law see a step ten seconds late."""

REACH_SECONDS = 5.0
"""For a connection to the head of a cluster."""

LINE = 300
"""Characters of a warning of Ray that are logged."""

LOG = logging.getLogger("underlay.serve")
TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextlib.contextmanager
def joined(address: str | None) -> Iterator[float]:
    """Be part of a cluster; the one of this machine alone ends with the process. Gives its CPUs.

    Args:
        address: `HOST:PORT` or `auto`; None: a cluster of this machine alone, on the loopback.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: `cluster_token`: tokens are switched off, or there is none, or the cluster has another.
        ServiceAway: `cluster_away`.
    """
    if address is not None and address.startswith("ray://"):
        raise UsageError(
            "Ray's client protocol cannot serve", "run this on a machine of the cluster: --address auto", code="address"
        )
    if address is not None and address != "auto":
        _check_reachable(address)
    prepare_environment(os.environ, alone=address is None)
    try:
        import ray
        from ray.exceptions import AuthenticationError
    except ModuleNotFoundError as error:
        raise MissingExtra("serving on Ray", "ray") from error
    options = {"include_dashboard": False, "num_cpus": cores(), "object_store_memory": STORE_BYTES}
    alone = {"address": "local", "_node_ip_address": "127.0.0.1", **options}
    try:
        ray.init(
            **(alone if address is None else {"address": address}),
            log_to_driver=False,
            configure_logging=False,
            namespace="underlay",
        )
    except AuthenticationError as error:
        raise UsageError(
            f"the cluster at {address} takes another token, or none was given",
            "set RAY_AUTH_TOKEN_PATH to the file that every machine of it has",
            code="cluster_token",
        ) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        line = str(error).strip().partition("\n")[0]
        raise ServiceAway(
            f"there is no Ray cluster at {address or 'this machine'}: {line:.200}",
            "start one with `ray start --head`, see that RAY_AUTH_TOKEN_PATH names its token, or leave --address out",
            code="cluster_away",
        ) from error
    _quiet()
    try:
        resources: Any = ray.cluster_resources  # declares no types
        yield float(resources().get("CPU", 0.0))
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse at once where nothing listens; Ray itself would try for minutes.

    Raises:
        UsageError: `address`.
        ServiceAway: `cluster_away`.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"{address!r:.80} is no address of a cluster", "pass HOST:PORT, or auto", code="address")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise ServiceAway(
            f"nothing answers at {address}: {error.strerror or error}",
            "start a cluster with `ray start --head`, or leave --address out",
            code="cluster_away",
        ) from error


def prepare_environment(environment: MutableMapping[str, str], *, alone: bool) -> None:
    """What Ray reads as it is imported: a token is asked for, nothing is sent home, loads are reported often.

    Args:
        environment: Of the process; changed.
        alone: Whether the cluster will be this process's own, which then has a token that nobody else knows.

    Raises:
        UsageError: `cluster_token`.
    """
    mode = environment.setdefault("RAY_AUTH_MODE", "token")
    if mode != "token":
        raise UsageError(
            f"RAY_AUTH_MODE is {mode!r:.40}: whoever reaches the cluster could run code on it",
            "set it to token, on every machine of the cluster",
            code="cluster_token",
        )
    if alone and not any(environment.get(name) for name in TOKEN):
        environment["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    environment.setdefault("RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S", REPORT_SECONDS)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


class _Ours(logging.Filter):
    """Says warnings of Ray Serve as lines of ours; what it sets up for itself on every start is passed by."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            line = record.getMessage().partition("\n")[0]
            LOG.log(record.levelno, "ray", extra={"fields": {"said": line[:LINE]}})
        return False


def _quiet() -> None:
    """Let Ray say nothing but warnings, and those through our log."""
    logging.getLogger("ray.serve").addFilter(_Ours())
    logger = logging.getLogger("ray")
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.WARNING)
