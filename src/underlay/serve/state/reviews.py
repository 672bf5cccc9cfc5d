"""What waits for a person: leased to one at a time, decided once, and given back when a lease ends."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, update

from underlay.serve.refusals import Refusal
from underlay.serve.state.chain import Entry, iso
from underlay.serve.state.feedback import keep_label, schema_of
from underlay.serve.state.idempotency import Once
from underlay.serve.state.labels import check_label
from underlay.serve.state.tables import PREDICTIONS, REVIEWS
from underlay.serve.state.transaction import Transaction

LEASE = 600_000_000
"""Microseconds that an item is somebody's: ten minutes, which asking for it again begins anew."""

LISTED = 100
"""Items in one list."""


def lease(transaction: Transaction, *, holder: str, item: str | None, four_eyes: bool) -> dict[str, Any]:
    """Give an item to a person: this one, or the oldest that nobody has.

    Args:
        transaction: Of the writer.
        holder: Id of the key.
        item: Id; None: any.
        four_eyes: Whether answers to this key are not its to decide.

    Returns:
        The item with the input as it is kept; without the model's answer if it is to be decided unseen.

    Raises:
        Refusal: `no_item`, `unknown_item`, `item_leased`, `item_decided`, `own_answer`.
    """
    if item is None:
        free = _WANTED.where(REVIEWS.c.decided.is_(None), _free(transaction.now))
        if four_eyes:
            free = free.where(PREDICTIONS.c.key != holder)
        row = transaction.first(free.order_by(PREDICTIONS.c.seq, PREDICTIONS.c.place).limit(1))
    else:
        row = transaction.first(_WANTED.where(REVIEWS.c.id == item))
    if row is None:
        raise Refusal("no_item") if item is None else Refusal("unknown_item", field="/item")
    _check_free(row, holder, transaction.now, four_eyes=four_eyes)
    again = row.holder == holder and _leased(row, transaction.now)
    version, until = row.version + (not again), transaction.now + LEASE
    transaction.change(
        update(REVIEWS).where(REVIEWS.c.id == row.id).values(holder=holder, lease_until=until, version=version)
    )
    transaction.append(Entry(holder, "lease", object=row.id, extra={"prediction": row.prediction, "version": version}))
    told = shown(row, transaction.now) | {"version": version, "lease_until": iso(until), "state": "leased"}
    told |= {"input": None if row.input is None else json.loads(row.input)}
    return told if row.blind else told | {"answer": json.loads(row.output)}


@dataclass(frozen=True)
class Decision:
    """What a person decided.

    Args:
        item: Id.
        version: As the lease gave it.
        labels: By target, JSON data; targets that are left out stay undecided.
        key: Id of the key.
    """

    item: str
    version: int
    labels: Mapping[str, Any]
    key: str

    def write(self, transaction: Transaction, *, once: Once | None, four_eyes: bool) -> dict[str, Any]:
        """Keep it as labels for the answer, and end the wait.

        Args:
            transaction: Of the writer.
            once: The request's name for itself.
            four_eyes: Whether answers to this key are not its to decide.

        Returns:
            What to answer, the model's answer and whether the person differed among it.

        Raises:
            Refusal: `unknown_item`, `item_decided`, `stale_version`, `lost_lease`, `own_answer`, `unknown_field`,
                `wrong_label`, `idempotency_reused`.
        """
        if once is not None and (stored := once.look_again(transaction)) is not None:
            return stored
        row = self._held(transaction, four_eyes=four_eyes)
        said = json.loads(row.output)
        labels = self._checked(transaction, row.bundle, said)
        override = any(_differs(label, said[name]["prediction"]) for name, label in labels.items())
        seq = 0
        for name, label in labels.items():
            seq, _ = keep_label(
                transaction, row.prediction, row.bundle, target=name, label=label, key=self.key, review=row.id
            )
        transaction.change(
            update(REVIEWS)
            .where(REVIEWS.c.id == row.id)
            .values(decided_by=self.key, decided=transaction.now, override=override, lease_until=None)
        )
        outcome = {"override": override, "blind": bool(row.blind), "targets": sorted(labels)}
        transaction.append(
            Entry(self.key, "decide", object=row.id, outcome=outcome, extra={"prediction": row.prediction})
        )
        told = {"item": row.id, "prediction_id": row.prediction, "override": override, "answer": said}
        if once is not None:
            once.remember(transaction, seq=seq, answer=told)
        return told

    def _held(self, transaction: Transaction, *, four_eyes: bool) -> Row[Any]:
        """The item, if it is still this person's."""
        row = transaction.first(_WANTED.where(REVIEWS.c.id == self.item))
        if row is None:
            raise Refusal("unknown_item", field="/item")
        if row.decided is not None:
            raise Refusal("item_decided", field="/item")
        if row.version != self.version:
            raise Refusal("stale_version", field="/version")
        if row.holder != self.key or not _leased(row, transaction.now):
            raise Refusal("lost_lease", field="/item")
        if four_eyes and row.key == self.key:
            raise Refusal("own_answer", field="/item")
        return row

    def _checked(self, transaction: Transaction, bundle: str, said: Mapping[str, Any]) -> dict[str, Any]:
        targets = {target.name: target for target in schema_of(transaction, bundle).targets}
        if not self.labels or not set(self.labels) <= set(targets):
            raise Refusal("unknown_field", field="/labels", expected=sorted(targets))
        return {
            name: check_label(label, targets[name], said=said[name]["prediction"], field=f"/labels/{name}")
            for name, label in self.labels.items()
        }


def give_back(transaction: Transaction, *, holder: str, item: str) -> dict[str, Any]:
    """Let an item wait for somebody else.

    Raises:
        Refusal: `unknown_item`, `lost_lease`.
    """
    row = transaction.first(select(REVIEWS).where(REVIEWS.c.id == item))
    if row is None:
        raise Refusal("unknown_item", field="/item")
    if row.decided is not None or row.holder != holder or not _leased(row, transaction.now):
        raise Refusal("lost_lease", field="/item")
    transaction.change(update(REVIEWS).where(REVIEWS.c.id == item).values(holder=None, lease_until=None))
    transaction.append(Entry(holder, "release", object=item))
    return {"item": item, "state": "new"}


def list_items(connection: Connection, *, now: int, decided: bool = False) -> list[dict[str, Any]]:
    """The oldest that wait; or the newest that are decided.

    Args:
        connection: To read from.
        now: Microseconds since 1970.
        decided: Which.
    """
    if decided:
        wanted = _WANTED.where(REVIEWS.c.decided.is_not(None)).order_by(REVIEWS.c.decided.desc())
    else:
        wanted = _WANTED.where(REVIEWS.c.decided.is_(None)).order_by(PREDICTIONS.c.seq, PREDICTIONS.c.place)
    return [shown(row, now) for row in connection.execute(wanted.limit(LISTED))]


def shown(row: Row[Any], now: int) -> dict[str, Any]:
    """An item as a list shows it: nothing of the input or the answer."""
    told = {
        "item": row.id,
        "prediction_id": row.prediction,
        "model": row.model,
        "reason": row.reason,
        "since": iso(row.made),
        "state": "decided" if row.decided is not None else "leased" if _leased(row, now) else "new",
        "version": row.version,
    }
    if row.decided is not None:
        told |= {"decided_by": row.decided_by, "decided": iso(row.decided), "override": bool(row.override)}
    return told


_ANSWER = tuple(PREDICTIONS.c[name] for name in ("input", "output", "model", "bundle", "key"))
_WANTED = select(REVIEWS, *_ANSWER).join(PREDICTIONS, PREDICTIONS.c.id == REVIEWS.c.prediction)


def _leased(row: Row[Any], now: int) -> bool:
    return (row.lease_until or 0) > now


def _check_free(row: Row[Any], holder: str, now: int, *, four_eyes: bool) -> None:
    if row.decided is not None:
        raise Refusal("item_decided", field="/item")
    if row.holder not in (None, holder) and _leased(row, now):
        raise Refusal("item_leased", field="/item")
    if four_eyes and row.key == holder:
        raise Refusal("own_answer", field="/item")


def _free(now: int) -> ColumnElement[bool]:
    return or_(REVIEWS.c.lease_until.is_(None), REVIEWS.c.lease_until <= now)


def _differs(label: Any, said: Any) -> bool:
    """Whether a person's label is another than the model's; of a ranking, than its first.

    Labels of a set come in the order of the target from both.
    """
    if isinstance(label, list):
        return bool(label != said)
    return bool(label != (said[0] if isinstance(said, list) and said else said))
