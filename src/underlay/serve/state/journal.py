"""What a server with a state does with each answer before it gives it."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select
from starlette.requests import Request
from starlette.routing import Route

from underlay.serve.entrance import deadline_of
from underlay.serve.records import Described, key_of
from underlay.serve.redaction import ready
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Served
from underlay.serve.state.chain import Entry
from underlay.serve.state.erasing import LABELLED_DAYS, RETAIN_DAYS, Retention
from underlay.serve.state.failing import StoreFailed
from underlay.serve.state.idempotency import Once, once_of
from underlay.serve.state.kept_input import KeptInput, keep_input
from underlay.serve.state.place import place_of
from underlay.serve.state.predictions import Answered, lowest_confidence
from underlay.serve.state.review_rules import ReviewRules
from underlay.serve.state.routes import SCOPES, described, routes_of
from underlay.serve.state.store import Store
from underlay.serve.state.tables import BUNDLES
from underlay.serve.state.transaction import Transaction

LOG = logging.getLogger("underlay.serve")
T = TypeVar("T")

START_SECONDS = 30.0
"""That a server waits for its database before it gives up: another machine may still be starting."""

WAIT_SECONDS = 2.0
"""That an answer waits to be kept, before it is refused: a disk syncs in milliseconds."""

THREADS = 2
"""That redact texts while the model answers."""


@dataclass(eq=False)
class Record:
    """A request on its way into the log.

    Args:
        journal: Where to.
        request: Of the client.
        served: The model.
        once: The request's name for itself.
        stored: What was answered to it before; None: it is new.
        inputs: What may be kept of its rows, when it is known.
    """

    journal: "Journal"
    request: Request
    served: Served
    once: Once | None
    stored: dict[str, Any] | None
    inputs: "asyncio.Future[list[KeptInput]] | None"

    async def finish(
        self, answers: Sequence[Answer], outputs: Sequence[Mapping[str, Any]], told: dict[str, Any]
    ) -> dict[str, Any]:
        """What to answer, once it is durable: with the ids under which it is kept.

        Args:
            answers: A row each.
            outputs: The same as JSON data, by target.
            told: What would be answered without a log.

        Raises:
            Refusal: It could not be kept: `redaction_timeout`, `redaction_failed`, `disk_full`, ...
        """
        answered = Answered(
            self.served.name,
            seal_of(self.served),
            key_of(self.request),
            await self._kept(),
            outputs,
            [lowest_confidence(answer) for answer in answers],
            self.journal.reviews,
        )

        def work(transaction: Transaction) -> dict[str, Any]:
            if answered.bundle not in self.journal.declared:  # it was loaded while the server ran
                declare(transaction, self.served)
            return answered.write(transaction, told=told, once=self.once)

        done = await self.journal.durably(work)
        self.journal.declared.add(answered.bundle)
        return done

    async def _kept(self) -> list[KeptInput]:
        """What may be kept of every row.

        Raises:
            Refusal: `redaction_timeout`, `redaction_failed`, `deadline_exceeded`.
        """
        if self.inputs is None:
            return []
        try:
            return await asyncio.wait_for(self.inputs, max(0.0, deadline_of(self.request) - time.monotonic()))
        except TimeoutError:
            raise Refusal("deadline_exceeded") from None


class Journal:
    """Keeps what a server answers.

    Args:
        store: Where.
        inputs: Whether inputs are kept, redacted; else their digests alone.
        reviews: Which answers wait for a person.
    """

    def __init__(self, store: Store, *, inputs: bool = True, reviews: ReviewRules | None = None) -> None:
        self.store = store
        self.reviews = reviews or ReviewRules()
        self._inputs = inputs
        self.declared: set[str] = set()
        """Seals of the bundles that the state knows."""
        self.redacted: Callable[[Mapping[str, int]], None] = lambda counts: None
        self.judged: Callable[[str, str, bool], None] = lambda model, target, right: None
        """Told what was redacted, by kind, and which answers of a model and a target people found right."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="redact")

    @property
    def working(self) -> bool:
        """Whether the last transaction was taken."""
        return self.store.writer.failing is None

    async def begin(self, request: Request, body: bytes, rows: Mapping[str, Sequence[Any]], served: Served) -> Record:
        """Look whether a request was answered before, and begin to redact it if not.

        Args:
            request: Of the client.
            body: Its bytes.
            rows: Raw values by column.
            served: The model that is asked.

        Raises:
            Refusal: `idempotency_header`, `idempotency_reused`, or the database does not answer.
        """
        once = once_of(request, key_of(request), body)
        if once is not None and (stored := await self.read(once.look)) is not None:
            request.scope["underlay.repeated"] = True  # it costs no quota
            return Record(self, request, served, once, stored, None)
        loop = asyncio.get_running_loop()
        inputs = loop.run_in_executor(self._threads, self._keep, rows)
        inputs.add_done_callback(_seen)
        return Record(self, request, served, once, None, inputs)

    async def durably(self, work: Callable[[Transaction], T]) -> T:
        """What a piece of work gives, once it is on disk.

        Args:
            work: As `Store.submit` takes it.

        Raises:
            Refusal: It is not on disk; or what the work refused.
        """
        waited: Future[T] = self.store.submit(work)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(waited), WAIT_SECONDS)
        except TimeoutError:
            raise Refusal("database_away" if self.store.place.folder is None else "database_busy") from None
        except StoreFailed as failed:
            raise Refusal(failed.code) from None

    async def read(self, question: Callable[..., T]) -> T:
        """What a question says of the state as it is.

        Args:
            question: Takes a connection.

        Raises:
            Refusal: The database does not answer; or what the question refused.
        """

        def ask() -> T:
            with self.store.reading(briefly=True) as connection:
                return question(connection)

        def ask_twice() -> T:  # the first one may have met a connection from before the database was restarted
            try:
                return ask()
            except StoreFailed:
                return ask()

        try:
            return await asyncio.wait_for(asyncio.to_thread(ask_twice), WAIT_SECONDS)
        except TimeoutError:
            raise Refusal("database_away" if self.store.place.folder is None else "database_busy") from None
        except StoreFailed as failed:
            raise Refusal(failed.code) from None

    scopes = SCOPES

    def routes(self) -> list[Route]:
        """The addresses of what is kept."""
        return routes_of(self)

    def described(self) -> Described:
        """The same for `/openapi.json`."""
        return described()

    def started(self, served: Served) -> None:
        """Tell the chain that a bundle is served from now on.

        Args:
            served: Under its name.

        Raises:
            StoreFailed: It could not be told.
        """

        def work(transaction: Transaction) -> None:
            declare(transaction, served)
            transaction.append(Entry("server", "start", object=served.name, model=seal_of(served)))

        self.store.write(work)
        self.declared.add(seal_of(served))

    async def note(self, actor: str, action: str, served: Served, *, extra: Mapping[str, Any] | None = None) -> None:
        """Tell the chain that an operator changed what is served, before it is so.

        Args:
            actor: Id of his key.
            action: `load`, `unload`, `alias`, `stop_answering`, `start_answering`.
            served: Which bundle it concerns.
            extra: More, JSON data.

        Raises:
            Refusal: It could not be told.
        """
        told = {"version": served.version, **(extra or {})}

        def work(transaction: Transaction) -> None:
            declare(transaction, served)
            transaction.append(Entry(actor, action, object=served.name, model=seal_of(served), extra=told))

        await self.durably(work)
        self.declared.add(seal_of(served))

    def close(self) -> None:
        """Write what waits; nothing is kept afterwards."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(StoreFailed, Refusal):  # a state that cannot be written is left as it is
            self.store.write(lambda transaction: transaction.append(Entry("server", "stop")))
        self.store.close()

    def _keep(self, rows: Mapping[str, Sequence[Any]]) -> list[KeptInput]:
        count = len(next(iter(rows.values())))
        kept = [
            keep_input({name: values[at] for name, values in rows.items()}, inputs=self._inputs) for at in range(count)
        ]
        for one in kept:
            self.redacted(one.redacted)
        return kept


def open_journal(
    state: str,
    audit: Path | None,
    *,
    served: Served,
    inputs: bool,
    days: float = RETAIN_DAYS,
    reviews: ReviewRules | None = None,
) -> Journal:
    """What a server keeps its answers in; a database that does not answer yet is waited for.

    Args:
        state: As `place_of` takes it.
        audit: As `place_of` takes it.
        served: The model.
        inputs: Whether inputs are kept, redacted; else their digests alone.
        days: That an answer without a label is kept.
        reviews: Which answers wait for a person; None: none.

    Raises:
        UsageError: `state`, `state_locked`, `state_newer`, `audit_key`, `days`.
        ResourceError: The folder cannot be written.
        StoreFailed: The database does not answer for half a minute, or its disk is full.
    """
    if inputs:
        ready()
    place, until = place_of(state, audit), time.monotonic() + START_SECONDS
    chores = Retention(days, max(days, LABELLED_DAYS))
    while True:
        try:
            journal = Journal(Store(place, serves=True, chores=chores), inputs=inputs, reviews=reviews)
            break
        except StoreFailed as failed:
            if failed.code != "database_away" or time.monotonic() > until:
                raise
            LOG.warning("state_awaited", extra={"fields": {"code": failed.code}})
            time.sleep(1)
    try:
        journal.started(served)
    except BaseException:
        journal.close()
        raise
    return journal


def _tell(transaction: Transaction, served: Served, entry: Entry) -> None:
    """Add to the chain, and to the bundles one that is new."""
    seal = seal_of(served)
    if transaction.first(BUNDLES.select().where(BUNDLES.c.seal == seal)) is None:
        schema = json.dumps(served.bundle.schema.to_dict(), ensure_ascii=False)
        files = json.dumps(sorted(served.bundle.file_columns), ensure_ascii=False)
        transaction.add(BUNDLES, seal=seal, model=served.name, schema=schema, files=files)
    transaction.append(entry)


def declare(transaction: Transaction, served: Served) -> None:
    """See that the state knows a bundle's columns, targets and labels."""
    seal = seal_of(served)
    if transaction.first(select(BUNDLES.c.seal).where(BUNDLES.c.seal == seal)) is None:
        schema = json.dumps(served.bundle.schema.to_dict(), ensure_ascii=False)
        files = json.dumps(sorted(served.bundle.file_columns), ensure_ascii=False)
        transaction.add(BUNDLES, seal=seal, model=served.name, schema=schema, files=files)


def seal_of(served: Served) -> str:
    """The seal of what is served."""
    manifest = served.bundle.manifest
    return manifest.seal if manifest is not None else "unsealed"


def _seen(found: "asyncio.Future[Any]") -> None:
    """Take the error of a record that nobody finishes: asyncio would log it as one that nobody handled."""
    if not found.cancelled():
        found.exception()
