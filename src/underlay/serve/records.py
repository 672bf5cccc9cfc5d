"""What an endpoint asks of whoever keeps answers, and the one who keeps none."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.requests import Request

from underlay.serve.served import Answer, Served


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

    def close(self) -> None:
        """Nothing is open."""


class _Unkept:
    stored: dict[str, Any] | None = None

    async def finish(
        self, answers: Sequence[Answer], outputs: Sequence[Mapping[str, Any]], told: dict[str, Any]
    ) -> dict[str, Any]:
        return told


def key_of(request: Request) -> str:
    """Id of the key that a request has; `open` for one without."""
    key = request.scope.get("underlay.key")
    return "open" if key is None else str(key.id)
