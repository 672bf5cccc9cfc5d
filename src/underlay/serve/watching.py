"""What is looked at while models answer: whether one hangs, and whether its folder is still what was loaded."""

import asyncio
import logging
import weakref
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from underlay.bundle.manifest import read_sealed
from underlay.core import UnderlayError
from underlay.serve.service import Service
from underlay.serve.version import Version

LOG = logging.getLogger("underlay.serve")

HUNG_EVERY = 1.0
FOLDER_EVERY = 60.0
"""Seconds between two looks."""

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, node, size and time of each file of a folder: cheap to read, and another one if anything was replaced."""


async def watch_hanging(service: Service, *, every: float = HUNG_EVERY) -> None:
    """Say once when a model begins to hang, and once when it is back; runs until it is cancelled.

    Args:
        service: Whose models.
        every: Seconds between two looks.
    """
    known: weakref.WeakSet[Version] = weakref.WeakSet()
    while True:
        await asyncio.sleep(every)
        _tell_hanging(service, known)


def _tell_hanging(service: Service, known: "weakref.WeakSet[Version]") -> None:
    for version in service.versions():
        hung = version.hung
        if hung != (version in known):
            (known.add if hung else known.discard)(version)
            event, level = ("model_hangs", logging.ERROR) if hung else ("model_is_back", logging.INFO)
            LOG.log(level, event, extra={"fields": _names(version)})


async def watch_folders(service: Service, reading: Executor, *, every: float = FOLDER_EVERY) -> None:
    """Say once when a bundle on disk is no longer what answers, as a restart would not load it; until cancelled.

    Args:
        service: Whose models.
        reading: Threads that may read the disk.
        every: Seconds between two looks.
    """
    right: weakref.WeakKeyDictionary[Version, Stamp] = weakref.WeakKeyDictionary()
    while True:
        await asyncio.sleep(every)
        await _look(list(service.versions()), right, reading)  # by itself, so that nobody is held while it sleeps


async def _look(
    versions: Sequence[Version], right: "weakref.WeakKeyDictionary[Version, Stamp]", reading: Executor
) -> None:
    loop = asyncio.get_running_loop()
    for version in versions:
        path = version.served.bundle.path
        if path is None:
            continue
        stamp = await loop.run_in_executor(reading, stamp_of, path)
        if stamp == right.get(version):
            continue
        same = await loop.run_in_executor(reading, is_sealed, path, version.served.seal)
        if same:
            right[version] = stamp
        if same == version.changed:  # it is news
            version.changed = not same
            event = "bundle_restored" if same else "bundle_changed"
            LOG.log(logging.INFO if same else logging.ERROR, event, extra={"fields": _names(version)})


def stamp_of(folder: Path) -> Stamp:
    """What changes if a file of a folder is replaced; empty where there is no folder."""
    try:
        found = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    except OSError:
        return ()
    return tuple((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found)


def is_sealed(folder: Path, seal: str) -> bool:
    """Whether a folder is, byte for byte, the bundle of this seal."""
    try:
        return read_sealed(folder)[0].seal == seal
    except (UnderlayError, OSError):
        return False


def _names(version: Version) -> dict[str, str]:
    return {"model": version.served.name, "version": version.label}
