"""One thread that writes: what many requests ask at once goes into one transaction, and is acknowledged after it."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from underlay.core import UnderlayError
from underlay.serve.refusals import Refusal
from underlay.serve.served import log_failure
from underlay.serve.state.chain import Head
from underlay.serve.state.connecting import WRITES, bounded
from underlay.serve.state.failing import StoreFailed, failure_of
from underlay.serve.state.tables import AUDIT
from underlay.serve.state.transaction import Transaction

LOG = logging.getLogger("underlay.serve")
T = TypeVar("T")
Work = Callable[[Transaction], T]

GROUP = 256
"""Pieces of work in one transaction: the cost of a synced commit is spread thin long before."""

WAITING = 2_048
"""Pieces that may wait: several seconds' worth on a slow disk, after which a request has given up anyway."""

IDLE_SECONDS = 1.0
BUSY_SECONDS = 10.0
"""Between chores of a writer that is never idle: what has lived its time goes all the same."""

TRIES = 3
"""Of a transaction that another disturbed, or whose connection broke."""

_AGAIN = ("database_busy", "database_away")


@dataclass(eq=False)
class _Job:
    work: Work[Any]
    done: "Future[Any]"


class Writer:
    """Takes pieces of work and writes them, many in one transaction, in the order in which they came.

    Args:
        engine: Connections.
        written: Told the newest entry after every commit, before anybody is told; in the writer's thread.
        idle: Called after a second without work, or ten with it; in the writer's thread.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        written: Callable[[Head], None] = lambda head: None,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._written = written
        self._idle = idle
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._chores_due = time.monotonic() + BUSY_SECONDS
        self.failing: StoreFailed | None = None
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> "Future[T]":
        """Queue a piece of work; its result is there once it is durable.

        Raises:
            Refusal: `overloaded`: too many wait; `draining`: the writer is closed.
        """
        job = _Job(work, Future())
        with self._wake:
            if self._closing:
                raise Refusal("draining")
            if len(self._jobs) >= WAITING:
                raise Refusal("overloaded")
            self._jobs.append(job)
            self._wake.notify()
        return job.done

    def close(self) -> None:
        """Write what waits, then end."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs = self._take()
            if not jobs and self._closing and not self._jobs:
                return
            try:
                if jobs:
                    self._commit(jobs)
                if not jobs or time.monotonic() >= self._chores_due:
                    self._chores_due = time.monotonic() + BUSY_SECONDS
                    self._idle()
            except Exception as error:  # noqa: BLE001 - a chore that breaks must not end the thread
                log_failure("state_failed", error)

    def _take(self) -> list[_Job]:
        """What waits, at most a group of it; nothing after a second without work, or once the writer is closed."""
        with self._wake:
            if not self._jobs and not self._closing:
                self._wake.wait(IDLE_SECONDS)
            taken = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
        # Whoever gave up while waiting is told nothing, so nothing of it is written.
        wanted = [job for job in taken if job.done.set_running_or_notify_cancel()]
        return wanted if wanted or not self._jobs else self._take()

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Write these and tell each what came of it; one that breaks, or breaks the transaction, is refused alone."""
        outcomes: Sequence[Any]
        try:
            outcomes = self._written_durably([job.work for job in jobs])
            self._note(None)
        except Exception as error:  # noqa: BLE001 - what breaks in one must not end all that follow
            failure = failure_of(error) if isinstance(error, SQLAlchemyError) else None
            if failure is None and len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            if failure is None:
                log_failure("state_failed", error)
            else:
                self._note(failure)
            outcomes = [failure or Refusal("bug")] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Exception):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)

    def _written_durably(self, works: Sequence[Work[Any]]) -> list[Any]:
        """What each piece gave, after the commit; a transaction that was disturbed is tried again."""
        last: Head | None = None
        outcomes: list[Any] = []
        for number in range(TRIES):
            try:
                with (
                    self._engine.connect().execution_options(**{WRITES: True}) as connection,
                    bounded(connection),
                    connection.begin(),
                ):
                    transaction = Transaction(connection)
                    if last is not None and _holds(transaction, last):
                        return outcomes  # the answer to that commit was lost, not the commit
                    before = transaction.head
                    outcomes = [_done(work, transaction) for work in works]
                    transaction.flush()
                    last = transaction.head if transaction.head != before else None
                self._written(transaction.head)
                return outcomes
            except SQLAlchemyError as error:
                failure = failure_of(error)
                if failure is None or failure.code not in _AGAIN or number + 1 == TRIES:
                    raise
                time.sleep(random.uniform(0.01, 0.05))
        raise AssertionError("unreachable")

    def _note(self, failure: StoreFailed | None) -> None:
        """Say once when writing begins to fail and once when it works again."""
        if (failure and failure.code) != (self.failing and self.failing.code):
            LOG.warning(
                "state_failing" if failure else "state_works",
                extra={"fields": {"code": failure.code} if failure else {}},
            )
        self.failing = failure


def _done(work: Work[Any], transaction: Transaction) -> Any:
    """What a piece gives, or why it refused."""
    try:
        return work(transaction)
    except (Refusal, UnderlayError) as refused:
        return refused


def _holds(transaction: Transaction, head: Head) -> bool:
    """Whether an entry is in the chain."""
    found = transaction.first(select(AUDIT.c.hash).where(AUDIT.c.seq == head.seq))
    return found is not None and found.hash == head.hash
