"""One transaction of the writer: rows gathered and written together, entries linked to the chain."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, Table, select

from underlay.serve.state.chain import Entry, Head, link
from underlay.serve.state.connecting import take_lock
from underlay.serve.state.tables import AUDIT


class Transaction:
    """What a piece of work may do to a state. It refuses before its first `add`, so that a refused one leaves nothing.

    Args:
        connection: Begun, and no other writes.
        clock: Nanoseconds since 1970.
    """

    def __init__(self, connection: Connection, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._connection = connection
        self.now = clock() // 1_000
        """Microseconds since 1970, the same for everything in it."""
        self._pending: dict[Table, list[dict[str, Any]]] = {}
        take_lock(connection)
        newest = connection.execute(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1)).first()
        self.head = Head() if newest is None else Head(newest.seq, newest.hash)

    def add(self, table: Table, **values: Any) -> None:
        """Write a row."""
        self._pending.setdefault(table, []).append(values)

    def append(self, entry: Entry) -> int:
        """Link an entry to the chain; its number."""
        self.head, text = link(self.head, entry, microseconds=self.now, monotonic_ms=time.monotonic_ns() // 1_000_000)
        self.add(AUDIT, seq=self.head.seq, entry=text, hash=self.head.hash)
        return self.head.seq

    def first(self, question: Executable) -> Row[Any] | None:
        """The first row of an answer, with everything that was added before."""
        self.flush()
        return self._connection.execute(question).first()

    def rows(self, question: Executable) -> Sequence[Row[Any]]:
        """Every row of an answer, with everything that was added before."""
        self.flush()
        return self._connection.execute(question).all()

    def change(self, statement: Executable) -> int:
        """Delete or update; how many rows it took."""
        self.flush()
        return self._connection.execute(statement).rowcount

    def flush(self) -> None:
        """Write what was added."""
        for table, rows in self._pending.items():
            self._connection.execute(table.insert(), rows)
        self._pending = {}
