"""One request on its way into the log."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from underlay.serve.entrance import deadline_of
from underlay.serve.records import key_of
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Served
from underlay.serve.state.bundles import declare
from underlay.serve.state.idempotency import Once
from underlay.serve.state.kept_input import KeptInput
from underlay.serve.state.predictions import Answered, lowest_confidence
from underlay.serve.state.transaction import Transaction

if TYPE_CHECKING:
    from underlay.serve.state.journal import Journal


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
            self.served.seal,
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

        done = await self.journal.durably(work, deadline=deadline_of(self.request))
        self.journal.declared.add(answered.bundle)
        return done

    def drop(self) -> None:
        """Nothing will be answered: what has not been redacted yet need not be."""
        if self.inputs is not None:
            self.inputs.cancel()

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
