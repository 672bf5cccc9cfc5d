"""The state of a service: what it answered, what people say of it, and the chain that tells of both."""

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from underlay.serve.state.chain import Head
from underlay.serve.state.connecting import WRITES, engine_of, take_lock
from underlay.serve.state.failing import StoreFailed, failure_of
from underlay.serve.state.migrating import check_version, migrate
from underlay.serve.state.place import Place, lock_folder, make_file, make_folder
from underlay.serve.state.writer import Work, Writer

T = TypeVar("T")


class Store:
    """A state that is open for writing.

    What is kept is written by *pieces of work*: functions that take a `Transaction` and add rows and entries to it.
    Pieces of many requests share one transaction; `submit` gives a future whose result is there after the commit, and
    which carries `StoreFailed` where the database or its disk did not take it, or the `Refusal` that the piece raised.
    Of a piece that raised nothing is written, if it raised before its first `add`. Reading needs no writer: `reading`.

        with open_store(place_of("kept")) as store:
            store.write(lambda transaction: transaction.append(Entry("command", "note")))

    Args:
        place: Where.
        serves: Whether a server uses it: of a folder that is at most one. Commands write beside it.

    Raises:
        UsageError: `state_locked`, `state_newer`.
        ResourceError: The folder cannot be written.
        StoreFailed: The database does not answer, or its disk is full.
    """

    def __init__(self, place: Place, *, serves: bool = False) -> None:
        self.place = place
        self._lock: int | None = None
        self.head = Head()
        if place.folder is not None and place.file is not None:
            make_folder(place.folder)
            self._lock = lock_folder(place.folder) if serves else None
            make_file(place.file)
        try:
            self._engine = engine_of(place, patient=not serves)
            with self._transaction() as connection:
                take_lock(connection)
                migrate(connection)
            self.writer = Writer(self._engine, written=self._written)
        except BaseException:
            self._unlock()
            raise

    def submit(self, work: Work[T]) -> "Future[T]":
        """Queue a piece of work.

        Args:
            work: What to write.

        Raises:
            Refusal: `overloaded`, `draining`.
        """
        return self.writer.submit(work)

    def write(self, work: Work[T]) -> T:
        """Do a piece of work and wait until it is durable.

        Raises:
            StoreFailed: It is not.
        """
        return self.submit(work).result()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the state.

        Raises:
            StoreFailed: The database does not answer.
        """
        with told(), self._engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Write what waits, then let go of the database."""
        self.writer.close()
        self._engine.dispose()
        self._unlock()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with told(), self._engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            yield connection

    def _written(self, head: Head, _: int) -> None:
        self.head = head

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def read_only(place: Place) -> Iterator[Connection]:
    """A state as it is, of which nothing is changed.

    Args:
        place: Where.

    Raises:
        UsageError: `no_state`, `state_newer`, `state_older`.
        StoreFailed: The database does not answer.
    """
    from underlay.core import UsageError

    if place.file is not None and not place.file.is_file():
        raise UsageError(f"there is no state in {place}", "name what `underlay serve --state` used", code="no_state")
    engine = engine_of(place, patient=True)
    try:
        with told(), engine.connect() as connection, connection.begin():
            check_version(connection)
            yield connection
    finally:
        engine.dispose()


@contextmanager
def told() -> Iterator[None]:
    """Errors of the database as `StoreFailed`; those of a statement, which are bugs, stay.

    Raises:
        StoreFailed: What happened.
    """
    try:
        yield
    except SQLAlchemyError as error:
        failure: StoreFailed | None = failure_of(error)
        if failure is None:
            raise
        raise failure from error
