"""A request that names itself is done once, however often it is sent: later ones get the first one's answer."""

import hmac
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Select, select
from starlette.requests import Request

from underlay.serve.refusals import Refusal
from underlay.serve.state.tables import IDEMPOTENCY
from underlay.serve.state.transaction import Transaction

HEADER = "idempotency-key"
HOURS = 24
"""How long an answer is kept for whoever sends its request again."""

_NAME = re.compile(r"[!-~]{1,128}", re.ASCII)


@dataclass(frozen=True)
class Once:
    """A request's name for itself.

    Args:
        name: Digest of the key that sent it, its address and the name; the name itself is not kept.
        digest: HMAC of the body under the name: to whoever has not sent it, it says nothing about the body.
    """

    name: str
    digest: str

    def stored(self, found: Any) -> dict[str, Any] | None:
        """The answer that was given to this request, if there was one.

        Args:
            found: The row of the table, or None.

        Raises:
            Refusal: `idempotency_reused`: another request had this name.
        """
        if found is None:
            return None
        if not hmac.compare_digest(found.digest, self.digest):
            raise Refusal("idempotency_reused")
        answer: dict[str, Any] = json.loads(found.answer)
        return answer

    def look(self, connection: Connection) -> dict[str, Any] | None:
        """The same, before anything is done."""
        return self.stored(connection.execute(self._question()).first())

    def look_again(self, transaction: Transaction) -> dict[str, Any] | None:
        """The same, where nobody else can write beside."""
        return self.stored(transaction.first(self._question()))

    def remember(self, transaction: Transaction, *, seq: int, answer: dict[str, Any]) -> None:
        """Keep the answer."""
        transaction.add(
            IDEMPOTENCY,
            name=self.name,
            digest=self.digest,
            seq=seq,
            time=transaction.now,
            answer=json.dumps(answer, ensure_ascii=False, allow_nan=False),
        )

    def _question(self) -> Select[Any]:
        return select(IDEMPOTENCY.c.digest, IDEMPOTENCY.c.answer).where(IDEMPOTENCY.c.name == self.name)


def once_of(request: Request, key: str, body: bytes) -> Once | None:
    """A request's name for itself; None where it has none.

    Args:
        request: Its headers and address.
        key: Id of the key that sent it: two keys may use one name.
        body: Of the request.

    Raises:
        Refusal: `idempotency_header`.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _NAME.fullmatch(given[0]):
        raise Refusal("idempotency_header")
    name = sha256("\n".join((key, request.url.path, given[0])).encode()).hexdigest()
    return Once(name, hmac.new(given[0].encode(), body, sha256).hexdigest())
