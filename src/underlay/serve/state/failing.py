"""What a database or a disk can do to us, by the code that a client and a shell are told."""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from underlay.core import UnderlayError

SAID = {
    "disk_full": (5, "the disk of the state is full", "free some space; `underlay state purge` removes what is old"),
    "disk_failed": (5, "the disk of the state cannot be written", "check the disk and the permissions"),
    "state_damaged": (5, "the file of the state is damaged", "restore it from a backup"),
    "database_busy": (6, "the database is held by another", "try again"),
    "database_away": (6, "the database does not answer", "start it, or check its address"),
}
"""By code: exit code, what was found, what to do."""

_SQLITE = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR: "disk_failed",
    sqlite3.SQLITE_READONLY: "disk_failed",
    sqlite3.SQLITE_CANTOPEN: "disk_failed",
    sqlite3.SQLITE_PERM: "disk_failed",
    sqlite3.SQLITE_BUSY: "database_busy",
    sqlite3.SQLITE_LOCKED: "database_busy",
    sqlite3.SQLITE_CORRUPT: "state_damaged",
    sqlite3.SQLITE_NOTADB: "state_damaged",
}
_POSTGRESQL = {
    "53100": "disk_full",
    "58030": "disk_failed",
    "25006": "database_away",  # read-only: a standby, or a primary that has lost its place
    "40001": "database_busy",
    "40P01": "database_busy",
    "55P03": "database_busy",
    "57014": "database_busy",
}
"""By SQLSTATE; what is not here and no fault of a statement is `database_away`."""

_STATEMENT = ("22", "23", "42")
"""Classes of SQLSTATE that a statement is at fault for, not the database."""


class StoreFailed(UnderlayError):
    """The database or its disk did not take what it was given; nothing of it was acknowledged.

    Args:
        code: One of `SAID`.
    """

    def __init__(self, code: str) -> None:
        self.exit_code, what, do = SAID[code]
        super().__init__(what, do, code=code)


def failure_of(error: SQLAlchemyError) -> StoreFailed | None:
    """What happened; None if the statement itself is at fault, which is a bug.

    Args:
        error: As SQLAlchemy raised it.
    """
    if isinstance(error, PoolTimeout):
        return StoreFailed("database_busy")
    if not isinstance(error, DBAPIError):
        return None
    number = getattr(error.orig, "sqlite_errorcode", None)
    if number is not None:
        code = _SQLITE.get(number & 0xFF)
        return None if code is None else StoreFailed(code)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith(_STATEMENT):
        return None
    if error.connection_invalidated or state in _POSTGRESQL or isinstance(error.orig, _lost()):
        return StoreFailed(_POSTGRESQL.get(state, "database_away"))
    return None


def _lost() -> type[Exception]:
    """What the driver of PostgreSQL raises where there is no connection."""
    try:
        from psycopg import OperationalError
    except ModuleNotFoundError:
        return ConnectionError
    return OperationalError
