"""What a server depends on and cannot mend itself: its disk, its clock, its certificate, its keys, its peers."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

Figure = Callable[[], float]


def watch(
    registry: CollectorRegistry,
    *,
    connections: Figure,
    working: Figure,
    keys_expire: Figure,
    certificate_expires: Figure | None = None,
    folder: Path | None = None,
    clock: Figure = time.monotonic,
    today: Figure = time.time,
) -> None:
    """Show it among the figures of a server, as it is whenever they are read.

    Args:
        registry: Of the server's figures.
        connections: Open now.
        working: 1 while answers can be kept, or need not be.
        keys_expire: When the first of the valid keys expires, in seconds since 1970; infinity: none does.
        certificate_expires: When it does; None: the server has none.
        folder: On the disk that must not fill up; None: there is none.
        clock: Seconds that never jump.
        today: Seconds since 1970.
    """
    offset = today() - clock()

    def show(name: str, said: str, figure: Figure) -> None:
        Gauge(name, said, registry=registry).set_function(figure)

    show("underlay_connections", "Connections of the port for everybody", connections)
    show("underlay_state_working", "1 while answers can be kept, or need not be", working)
    show("underlay_key_expires_seconds", "When the first key that is valid now expires, since 1970", keys_expire)
    show("underlay_clock_jump_seconds", "How far the clock was set since the start", lambda: today() - clock() - offset)
    if certificate_expires is not None:
        show("underlay_certificate_expires_seconds", "When it does, since 1970", certificate_expires)
    if folder is not None:
        show("underlay_disk_free_bytes", "Of the disk that keeps answers", lambda: _disk(folder)[0])
        show("underlay_disk_bytes", "Its size", lambda: _disk(folder)[1])


def watch_audit(registry: CollectorRegistry, *, head: Figure, failing: Figure) -> None:
    """Show how far the audit chain has come.

    Args:
        registry: Of the server's figures.
        head: Number of the newest entry.
        failing: 1 while no checkpoint can be written.
    """
    Gauge("underlay_audit_head", "Number of the newest entry of the audit chain", registry=registry).set_function(head)
    said = "1 while checkpoints of the audit chain cannot be written"
    Gauge("underlay_audit_checkpoint_failing", said, registry=registry).set_function(failing)


def _disk(folder: Path) -> tuple[float, float]:
    """Bytes free for us, and in all; NaN where the disk does not say."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return math.nan, math.nan
    return float(found.f_bavail * found.f_frsize), float(found.f_blocks * found.f_frsize)
