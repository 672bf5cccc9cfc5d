"""Which answers wait for a person: those the model is not sure of, and some of the others by lot."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import SystemRandom, token_hex

from sqlalchemy import func, select

from underlay.core import UsageError
from underlay.serve.state.tables import REVIEWS
from underlay.serve.state.transaction import Transaction

BLIND = 0.1
"""Share of the items whose model's answer a person sees after his own: else nodding through would not be noticed."""

MANY = 1_000
"""Items that wait; beyond, answers say `review_delayed`. None is ever dropped."""


@dataclass(frozen=True)
class ReviewRules:
    """Which answers wait.

    Args:
        below: Confidence under which an answer waits; 0: none does for that.
        sample: Share of the other answers that wait all the same.
        four_eyes: Whether the key that asked may not decide.
        lot: Gives numbers in [0, 1).

    Raises:
        UsageError: `review`: a share outside of 0 to 1.

    >>> ReviewRules(below=0.6).reasons([0.5, 0.9, None])
    {0: 'uncertain'}
    """

    below: float = 0.0
    sample: float = 0.0
    four_eyes: bool = False
    lot: Callable[[], float] = SystemRandom().random

    def __post_init__(self) -> None:
        for name, value in (("--review-below", self.below), ("--review-sample", self.sample)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} cannot be {value}", "give a number from 0 to 1", code="review")

    def reasons(self, confidence: Sequence[float | None]) -> dict[int, str]:
        """By place of the rows that wait: why.

        Args:
            confidence: Of each row; None where all its answers are numbers.
        """
        found: dict[int, str] = {}
        for place, sure in enumerate(confidence):
            if sure is not None and sure < self.below:
                found[place] = "uncertain"
            elif self.sample and self.lot() < self.sample:
                found[place] = "sampled"
        return found


def waiting(transaction: Transaction) -> int:
    """Items that nobody has decided."""
    row = transaction.first(select(func.count()).select_from(REVIEWS).where(REVIEWS.c.decided.is_(None)))
    return 0 if row is None else int(row[0])


def put(transaction: Transaction, prediction: str, reason: str, *, lot: Callable[[], float] = random.random) -> None:
    """Let an answer wait."""
    transaction.add(
        REVIEWS,
        id=token_hex(16),
        prediction=prediction,
        reason=reason,
        blind=lot() < BLIND,
        made=transaction.now,
        version=0,
    )
