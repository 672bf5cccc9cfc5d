"""The state of a service: what it answered, what people say of it, and the chain that tells of both."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from underlay.serve.refusals import Refusal
from underlay.serve.state.chain import Entry, Head
from underlay.serve.state.checkpoints import Checkpoints
from underlay.serve.state.connecting import WRITES, bounded, engine_of, take_lock
from underlay.serve.state.failing import StoreFailed, failure_of
from underlay.serve.state.migrating import check_version, migrate
from underlay.serve.state.place import Place, check_there, lock_folder, make_file, make_folder
from underlay.serve.state.writer import Work, Writer

T = TypeVar("T")
BALLAST, BALLAST_BYTES = "ballast", 16 << 20
"""A file that is there to be removed."""


class Store:
    """A state that is open for writing.

    What is kept is written by *pieces of work*: functions that take a `Transaction` and add rows and entries to it.
    Pieces of many requests share one transaction; `submit` gives a future whose result is there after the commit, and
    which carries `StoreFailed` where the database or its disk did not take it, or the `Refusal` that the piece raised.
    Of a piece that raised nothing is written, if it raised before its first `add`. Reading needs no writer: `reading`.

        with Store(place_of("kept")) as store:
            store.write(lambda transaction: transaction.append(Entry("command", "note")))

    Args:
        place: Where.
        serves: Whether a server uses it: of a folder that is at most one. Commands write beside it. A server's signs
            checkpoints.
        chores: What there is to do when nothing else is; called about every second, in the writer's thread.

    Raises:
        UsageError: `state_locked`, `state_newer`.
        ResourceError: The folder cannot be written.
        StoreFailed: The database does not answer, or its disk is full.
    """

    def __init__(
        self, place: Place, *, serves: bool = False, chores: Callable[["Store"], None] = lambda store: None
    ) -> None:
        self.place = place
        self._lock: int | None = None
        self._checkpoints: Checkpoints | None = None
        self._chores = chores
        self.head = Head()
        if not serves:
            check_there(place)
        elif place.folder is not None and place.file is not None:
            make_folder(place.folder)
            self._lock = lock_folder(place.folder)
            make_file(place.file)
        engine = engine_of(place, patient=not serves)
        try:
            if serves:
                make_folder(place.audit)
                self._checkpoints = Checkpoints(place.audit)
                self.keep_ballast()
            with told(), engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
                take_lock(connection)
                migrate(connection, make=serves)
        except BaseException:
            engine.dispose()
            self._unlock()
            raise
        self._engine = engine
        self.writer = Writer(engine, written=self._written, idle=self._idle)

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
    def reading(self, *, briefly: bool = False) -> Iterator[Connection]:
        """A connection that sees one moment of the state.

        Args:
            briefly: Whether a request waits, so that a database which falls silent is given up.

        Raises:
            StoreFailed: The database does not answer.
        """
        with told(), moment(self._engine) as connection, bounded(connection) if briefly else contextlib.nullcontext():
            yield connection

    def close(self) -> None:
        """Write what waits, and a last checkpoint; then let go of the database."""
        self.writer.close()
        if self._checkpoints is not None:
            self._checkpoints.note(self.head, now=True)
        self._engine.dispose()
        self._unlock()

    def scrub(self) -> None:
        """See that what was deleted is on no page of a file any more; PostgreSQL does so when it vacuums.

        Raises:
            StoreFailed: The disk failed.
        """
        if self.place.folder is not None:
            with told(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def checkpoint_failing(self) -> bool:
        """Whether the last checkpoint could not be written."""
        return self._checkpoints is not None and self._checkpoints.failing

    def keep_ballast(self) -> None:
        """Take up room that a full disk can be given back, as it takes no deletion either; as far as there is room."""
        if self.place.folder is None or (path := self.place.folder / BALLAST).exists():
            return
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, BALLAST_BYTES)
            finally:
                os.close(handle)
        except OSError:  # so little is left that taking it would do the harm that it is for
            path.unlink(missing_ok=True)

    def drop_ballast(self) -> bool:
        """Give the room back; whether there was any."""
        if self.place.folder is None or not (path := self.place.folder / BALLAST).exists():
            return False
        path.unlink()
        return True

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _written(self, head: Head) -> None:
        self.head = head
        if self._checkpoints is not None:
            self._checkpoints.note(head)

    def _idle(self) -> None:
        if self._checkpoints is None:
            return
        self._checkpoints.note(self.head)
        if self.writer.failing is not None:  # whether it works again is found out without a client's request
            code = self.writer.failing.code
            with contextlib.suppress(Refusal):
                self.submit(lambda transaction: transaction.append(Entry("server", "recover", outcome=code)))
        self._chores(self)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def moment(engine: Engine) -> Iterator[Connection]:
    """A connection whose every question is answered from one moment, whatever is written meanwhile."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def read_only(place: Place) -> Iterator[Connection]:
    """A state as it is, of which nothing is changed.

    Args:
        place: Where.

    Raises:
        UsageError: `no_state`, `state_newer`, `state_older`.
        StoreFailed: The database does not answer.
    """
    check_there(place)
    engine = engine_of(place, patient=True)
    try:
        with told(), moment(engine) as connection:
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
