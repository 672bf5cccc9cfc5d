"""What a person wants gone, and what has lived its time; the chain keeps that it was, and no more."""

import contextlib
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, or_, select

from underlay.core import UsageError
from underlay.serve.refusals import Refusal
from underlay.serve.state.chain import Entry, iso
from underlay.serve.state.failing import StoreFailed
from underlay.serve.state.idempotency import HOURS
from underlay.serve.state.store import Store
from underlay.serve.state.tables import FEEDBACK, IDEMPOTENCY, PREDICTIONS, REVIEWS
from underlay.serve.state.transaction import Transaction

_ID = re.compile(r"([0-9a-f]{32})(-[0-9]{1,6})?", re.ASCII)

DAY = 86_400_000_000
"""Microseconds."""

RETAIN_DAYS, LABELLED_DAYS = 30.0, 180.0
"""How long an answer is kept: without a label as long as a log, with one as long as a decided review."""

EVER = 36_500.0
"""Days that are as good as for ever; more would lead before the first year."""

EVERY_SECONDS = 3_600.0

PORTION = 500
"""Rows deleted in one transaction, so that requests wait for milliseconds."""


@dataclass(frozen=True)
class Gone:
    """What was removed.

    Args:
        predictions: Rows of the log.
        feedback: Labels.
        answers: Stored for repeated requests.
    """

    predictions: int = 0
    feedback: int = 0
    answers: int = 0

    def __add__(self, other: "Gone") -> "Gone":
        return Gone(self.predictions + other.predictions, self.feedback + other.feedback, self.answers + other.answers)


def erase(store: Store, identity: str, *, actor: str) -> Gone:
    """Remove a prediction, or all of one request, with its labels and the answer stored for it.

    Twice is as once: what is not there any more is no error, and the chain is told again.

    Args:
        store: Of which.
        identity: Id of the prediction; of the request, without the number behind the dash.
        actor: Who wants it.

    Raises:
        UsageError: `prediction_id`: it has not the form of one.
        StoreFailed: The database did not take it.
    """
    found = _ID.fullmatch(identity)
    if found is None:
        raise UsageError(
            f"{identity!r:.80} is no id of a prediction", "give one as /predict answered it", code="prediction_id"
        )
    group, number = found.groups()

    def of_it(column: ColumnElement[str]) -> ColumnElement[bool]:
        return column == identity if number else column.startswith(f"{group}-")

    def work(transaction: Transaction) -> Gone:
        chosen = of_it(PREDICTIONS.c.id)
        entries = select(PREDICTIONS.c.seq).where(chosen)
        said = of_it(FEEDBACK.c.prediction)
        answers = transaction.change(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.seq.in_(entries)))
        answers += transaction.change(
            delete(IDEMPOTENCY).where(IDEMPOTENCY.c.seq.in_(select(FEEDBACK.c.seq).where(said)))
        )
        labels = transaction.change(delete(FEEDBACK).where(said))
        transaction.change(delete(REVIEWS).where(of_it(REVIEWS.c.prediction)))  # whoever has it leased finds it gone
        gone = Gone(transaction.change(delete(PREDICTIONS).where(chosen)), labels, answers)
        transaction.append(Entry(actor, "erase", object=identity, outcome=vars(gone)))
        return gone

    done = with_room(store, lambda: store.write(work))
    store.scrub()
    return done


def purge(store: Store, *, days: float = RETAIN_DAYS, labelled_days: float = LABELLED_DAYS, actor: str) -> Gone:
    """Remove what has lived its time; stored answers of repeated requests after a day in any case.

    Args:
        store: Of which.
        days: Since an answer without a label.
        labelled_days: Since the newest label of an answer.
        actor: Who wants it.

    Raises:
        StoreFailed: The database did not take it; what was removed before is gone, and the chain knows.
    """
    times = lived(days, labelled_days)

    def everything() -> Gone:
        total, first = Gone(), True
        while True:
            one = store.write(portion(*times, actor=actor, announce=first))
            total, first = total + one, False
            if one == Gone():
                return total

    done = with_room(store, everything)
    store.scrub()
    return done


def lived(days: float, labelled_days: float) -> tuple[int, int]:
    """Before which microsecond an answer has lived its time, without a label and with one.

    Raises:
        UsageError: `days`: not above 0.
    """
    if not (days > 0 and labelled_days > 0):
        raise UsageError(
            f"{min(days, labelled_days)} days are no time to keep anything", "give more than 0", code="days"
        )
    now = time.time_ns() // 1_000
    return now - int(min(days, EVER) * DAY), now - int(min(labelled_days, EVER) * DAY)


def portion(old: int, labelled: int, *, actor: str, announce: bool) -> Callable[[Transaction], Gone]:
    """A piece of work that removes some of what has lived its time; nothing is left where it removed nothing.

    Args:
        old: Microsecond before which answers without a label go.
        labelled: Microsecond before which the newest label of others must be.
        actor: Who wants it.
        announce: Whether the chain is told, before the first row goes, so that none is missing unexplained.
    """

    def work(transaction: Transaction) -> Gone:
        going = _old(old, labelled)
        ids = [row.id for row in transaction.rows(select(PREDICTIONS.c.id).where(going).limit(PORTION))]
        if announce and ids:
            told = {"before": iso(max(old, labelled)), "unlabelled": iso(old), "labelled": iso(labelled)}
            transaction.append(Entry(actor, "purge", extra=told))
        labels = transaction.change(delete(FEEDBACK).where(FEEDBACK.c.prediction.in_(ids)))
        transaction.change(delete(REVIEWS).where(REVIEWS.c.prediction.in_(ids)))
        stale = IDEMPOTENCY.c.time < transaction.now - HOURS * DAY // 24
        answers = transaction.change(delete(IDEMPOTENCY).where(stale))
        return Gone(transaction.change(delete(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids))), labels, answers)

    return work


class Retention:
    """Removes what has lived its time, every hour, in portions between the requests' work.

    Args:
        days: As in `purge`.
        labelled_days: As in `purge`.
        clock: Seconds that never jump.
    """

    def __init__(self, days: float, labelled_days: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        lived(days, labelled_days)
        self._days = (days, labelled_days)
        self._clock = clock
        self._due = clock()

    def __call__(self, store: Store) -> None:
        """Begin if it is time."""
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY_SECONDS
            self._go_on(store, lived(*self._days), announce=True)

    def _go_on(self, store: Store, times: tuple[int, int], *, announce: bool) -> None:
        def then(done: "Future[Gone]") -> None:
            if done.exception() is None and done.result() != Gone():
                self._go_on(store, times, announce=False)

        with contextlib.suppress(Refusal):  # too much work, or the end: the next hour does it
            store.submit(portion(*times, actor="server", announce=announce)).add_done_callback(then)


def with_room(store: Store, do: Callable[[], Gone]) -> Gone:
    """Do it; on a full disk, which takes no deletion either, in the room that the ballast kept.

    Raises:
        StoreFailed: As it comes, if the ballast does not help or is gone.
    """
    try:
        return do()
    except StoreFailed as failed:
        if failed.code != "disk_full" or not store.drop_ballast():
            raise
        return do()
    finally:
        store.keep_ballast()


def _old(old: int, labelled: int) -> ColumnElement[bool]:
    """Which answers have lived their time."""
    of_it = FEEDBACK.c.prediction == PREDICTIONS.c.id
    any_label = exists().where(of_it)
    fresh_label = exists().where(of_it, FEEDBACK.c.time >= labelled)
    return or_((PREDICTIONS.c.time < old) & ~any_label, (PREDICTIONS.c.time < labelled) & any_label & ~fresh_label)
