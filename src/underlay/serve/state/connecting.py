"""Connections whose transactions are durable before they are acknowledged, and give up rather than wait for long."""

import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text

from underlay.serve.state.place import Place

BUSY_SECONDS = 1.0
"""That a statement may take or wait for another's lock."""

PATIENT_SECONDS = 3_600.0
"""The same for a person's command, which may read everything."""

SILENT_SECONDS = 4.0
"""That a transaction may take in all, several statements among them."""

CONNECT_SECONDS = 2
WRITES = "underlay_writes"
"""The execution option of a connection whose transactions write."""

ADVISORY = 0x756E6465726C6179
"""PostgreSQL's lock that writers of one chain take, each for its transaction: `underlay` in ASCII."""


def engine_of(place: Place, *, patient: bool = False) -> Engine:
    """Connections to the database of a place.

    Args:
        place: Where.
        patient: Whether a person waits, not a request.
    """
    seconds = PATIENT_SECONDS if patient else BUSY_SECONDS
    # Without `hide_parameters` an error would quote what was to be stored.
    common: dict[str, Any] = {"hide_parameters": True, "pool_size": 4, "pool_timeout": BUSY_SECONDS}
    if place.folder is not None:
        # No isolation level: the driver begins nothing by itself, so that `BEGIN IMMEDIATE` is ours to say.
        given: dict[str, Any] = {
            "timeout": seconds if not patient else 30.0,
            "isolation_level": None,
            "check_same_thread": False,
        }
        engine = create_engine(place.url, connect_args=given, **common)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    milliseconds = round(seconds * 1e3)
    given = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": CONNECT_SECONDS * 1_000,
        "keepalives_idle": 5,  # a peer that is gone without a word is noticed in about ten seconds, not in two hours
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "application_name": "underlay",
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c synchronous_commit=on "
        "-c idle_in_transaction_session_timeout=5000",
    }
    return create_engine(place.url, connect_args=given, **common)


@contextmanager
def bounded(connection: Connection) -> Iterator[None]:
    """Cut a connection that has said nothing for long: PostgreSQL's own limits are of no use where it does not answer.

    Args:
        connection: Of a request's transaction; SQLite's wait for nobody.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection

    def cut() -> None:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(driver.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(SILENT_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def take_lock(connection: Connection) -> None:
    """See that nobody else writes until the transaction ends; SQLite's began so."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY})


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    for line in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {line}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
