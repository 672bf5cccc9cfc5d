"""Where a state lies: a folder with a SQLite file, or a database of PostgreSQL; and where its checkpoints go."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from underlay.core import ResourceError, UsageError
from underlay.core.durable import hold, resource_errors

FILE = "state.sqlite"
LOCK = "lock"
_URL = re.compile(r"[a-z][a-z0-9+]*://")


@dataclass(frozen=True)
class Place:
    """Where a state lies.

    Args:
        url: Of the database.
        folder: Of the SQLite file; None for PostgreSQL.
        audit: Folder of the signing key and the checkpoints.
    """

    url: URL
    folder: Path | None
    audit: Path

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        return None if self.folder is None else self.folder / FILE

    def __str__(self) -> str:
        return str(self.folder) if self.folder is not None else self.url.render_as_string(hide_password=True)


def place_of(state: str, audit: Path | None = None) -> Place:
    """Where `--state` says that a state lies.

    Args:
        state: A folder, or `postgresql+psycopg://USER@HOST/DATABASE`.
        audit: Folder of the signing key and the checkpoints; None: that of the SQLite file.

    Raises:
        UsageError: `state`: no such database is known, or checkpoints of PostgreSQL have no folder.

    >>> place_of("kept").file.name
    'state.sqlite'
    """
    if not _URL.match(state):
        folder = Path(state).absolute()
        return Place(URL.create("sqlite", database=str(folder / FILE)), folder, audit or folder)
    try:
        url = make_url(state)
    except ArgumentError as error:
        raise UsageError("--state is no address of a database", _KNOWN, code="state") from error
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise UsageError(f"--state names {url.drivername}", _KNOWN, code="state")
    if audit is None:
        raise UsageError(
            "the checkpoints of a state in PostgreSQL have no folder",
            "pass --audit DIR, a folder on another disk than the database's",
            code="state",
        )
    return Place(url.set(drivername="postgresql+psycopg"), None, audit.absolute())


_KNOWN = "give a folder, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


def check_there(place: Place) -> None:
    """Refuse a folder without a state.

    Raises:
        UsageError: `no_state`.
    """
    if place.file is not None and not place.file.is_file():
        raise UsageError(f"there is no state in {place}", "name what `underlay serve --state` used", code="no_state")


def make_folder(folder: Path) -> None:
    """See that there is a folder, for its owner alone.

    Raises:
        ResourceError: It cannot be made or written.
    """
    with resource_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ResourceError(f"{folder} cannot be written", "choose a writable folder", code="read_only")


def make_file(path: Path) -> None:
    """See that there is a file, for its owner alone; SQLite gives its further files the mode of the first.

    Raises:
        ResourceError: It cannot be made.
    """
    with resource_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)
        finally:
            os.close(handle)


def lock_folder(folder: Path) -> int:
    """A handle that holds the folder until it is closed or the process dies.

    Raises:
        UsageError: `state_locked`: another server has it.
    """
    handle = hold(folder / LOCK)
    if handle is None:
        raise UsageError(
            f"another server uses the state in {folder}",
            "stop it, name another folder, or keep the state of several servers in PostgreSQL",
            code="state_locked",
        )
    return handle
