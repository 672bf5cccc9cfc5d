"""What an endpoint asks of whoever keeps answers, and the one who keeps none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from starlette.requests import Request
from starlette.routing import Route

from underlay.serve.served import Answer, Served


class Described(NamedTuple):
    """What `/openapi.json` says of addresses.

    Args:
        posted: By path that takes a body: the names of the schemas of the body and of the answer.
        got: By path that is only read: what it is for and the name of the answer's schema.
        schemas: By name.
    """

    posted: Mapping[str, tuple[str, str]] = {}
    got: Mapping[str, tuple[str, str]] = {}
    schemas: Mapping[str, Any] = {}


class Record(Protocol):
    """A request on its way to be kept."""

    @property
    def stored(self) -> dict[str, Any] | None:
        """What was answered to this very request before; None: it is new, or nothing is kept."""
        ...

    async def finish(
        self, answers: Sequence[Answer], outputs: Sequence[Mapping[str, Any]], told: dict[str, Any]
    ) -> dict[str, Any]:
        """What to answer, once everything is durable.

        Args:
            answers: A row each.
            outputs: The same as JSON data, by target.
            told: What would be answered if nothing was kept.

        Raises:
            Refusal: It could not be kept, so it must not be answered.
        """
        ...

    def drop(self) -> None:
        """Forget it: nothing will be answered."""
        ...


class Records(Protocol):
    """Keeps what a server answers."""

    @property
    def working(self) -> bool:
        """Whether what is answered now can be kept."""
        ...

    async def begin(self, request: Request, body: bytes, rows: Mapping[str, Sequence[Any]], served: Served) -> Record:
        """Prepare while the model answers.

        Args:
            request: Of the client.
            body: Its bytes.
            rows: Raw values by column.
            served: The model that is asked.

        Raises:
            Refusal: It cannot be kept, or its name was another request's.
        """
        ...

    async def note(self, actor: str, action: str, served: Served, *, extra: Mapping[str, Any] | None = None) -> None:
        """Keep that an operator changed what is served, before it is so.

        Args:
            actor: Id of his key.
            action: `load`, `unload`, `alias`, `stop_answering`, `start_answering`.
            served: Which bundle it concerns.
            extra: More, JSON data.

        Raises:
            Refusal: It could not be kept.
        """
        ...

    def routes(self) -> list[Route]:
        """Addresses of what is kept."""
        ...

    @property
    def scopes(self) -> Mapping[str, str]:
        """What a key needs for them, by the first step of the path."""
        ...

    def described(self) -> Described:
        """The same for `/openapi.json`."""
        ...

    def close(self) -> None:
        """Finish; nothing is kept afterwards."""
        ...


class NoRecords:
    """Of a server without a state: answers are passed on.

    A request's name for itself means nothing then, as nothing is done that could be done twice.
    """

    working = True

    async def begin(self, request: Request, body: bytes, rows: Mapping[str, Sequence[Any]], served: Served) -> Record:
        return _Unkept()

    async def note(self, actor: str, action: str, served: Served, *, extra: Mapping[str, Any] | None = None) -> None:
        return None

    scopes: Mapping[str, str] = {}

    def routes(self) -> list[Route]:
        return []

    def described(self) -> Described:
        return Described()

    def close(self) -> None:
        """Nothing is open."""


class _Unkept:
    stored: dict[str, Any] | None = None

    async def finish(
        self, answers: Sequence[Answer], outputs: Sequence[Mapping[str, Any]], told: dict[str, Any]
    ) -> dict[str, Any]:
        return told

    def drop(self) -> None:
        return None


@contextmanager
def dropping(record: Record) -> Iterator[None]:
    """Forget a record whose rows are not answered: else what was begun for it would pile up behind a refusal."""
    try:
        yield
    except BaseException:
        record.drop()
        raise


def key_of(request: Request) -> str:
    """Id of the key that a request has; `open` for one without."""
    key = request.scope.get("underlay.key")
    return "open" if key is None else str(key.id)
