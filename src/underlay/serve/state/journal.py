"""What a server with a state does with each answer before it gives it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.routing import Route

from underlay.serve.records import Described, key_of
from underlay.serve.refusals import Refusal
from underlay.serve.served import Served
from underlay.serve.state.bundles import declare
from underlay.serve.state.chain import Entry
from underlay.serve.state.failing import StoreFailed
from underlay.serve.state.idempotency import Once, once_of
from underlay.serve.state.kept_input import KeptInput, keep_input
from underlay.serve.state.record import Record
from underlay.serve.state.review_rules import ReviewRules
from underlay.serve.state.routes import SCOPES, described, routes_of
from underlay.serve.state.store import Store
from underlay.serve.state.transaction import Transaction

T = TypeVar("T")

WAIT_SECONDS = 2.0
"""That an answer waits to be kept, before it is refused: a disk syncs in milliseconds."""

THREADS = 2
"""That redact texts while the model answers."""


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
        if (stored := await self.answered_before(request, once)) is not None:
            return Record(self, request, served, once, stored, None)
        loop = asyncio.get_running_loop()
        inputs = loop.run_in_executor(self._threads, self._keep, rows)
        inputs.add_done_callback(_seen)
        return Record(self, request, served, once, None, inputs)

    async def answered_before(self, request: Request, once: Once | None) -> dict[str, Any] | None:
        """What a request of this name was answered, which then costs no quota; None: it is new, or has no name.

        Args:
            request: Of the client.
            once: Its name for itself.

        Raises:
            Refusal: `idempotency_reused`, or the database does not answer.
        """
        stored = None if once is None else await self.read(once.look)
        if stored is not None:
            request.scope["underlay.repeated"] = True
        return stored

    async def durably(self, work: Callable[[Transaction], T], *, deadline: float | None = None) -> T:
        """What a piece of work gives, once it is on disk.

        Args:
            work: As `Store.submit` takes it.
            deadline: Of the monotonic clock, after which the answer is of no use.

        Raises:
            Refusal: It is not on disk; or what the work refused.
        """
        waited: Future[T] = self.store.submit(work)
        left = WAIT_SECONDS if deadline is None else min(WAIT_SECONDS, max(0.0, deadline - time.monotonic()))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(waited), left)
        except TimeoutError:
            if left < WAIT_SECONDS:
                raise Refusal("deadline_exceeded") from None
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
            transaction.append(Entry("server", "start", object=served.name, model=served.seal))

        self.store.write(work)
        self.declared.add(served.seal)

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
            transaction.append(Entry(actor, action, object=served.name, model=served.seal, extra=told))

        await self.durably(work)
        self.declared.add(served.seal)

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


def _seen(found: "asyncio.Future[Any]") -> None:
    """Take the error of a record that nobody finishes: asyncio would log it as one that nobody handled."""
    if not found.cancelled():
        found.exception()
