"""Whether a state is what was acknowledged: the chain whole, its rows those that it tells of, its checkpoints met."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from underlay.serve.state.chain import Head, hash_of
from underlay.serve.state.checkpoints import AuditBroken, Checkpoint, read_checkpoints
from underlay.serve.state.place import Place
from underlay.serve.state.predictions import digest_of_row
from underlay.serve.state.signing import PUBLIC, public_key
from underlay.serve.state.store import read_only
from underlay.serve.state.tables import AUDIT, FEEDBACK, PREDICTIONS

AT_ONCE = 1_000
"""Rows in memory."""

DO = "keep the file as it is and compare it with a backup"

TOLD_OF = {"predict": PREDICTIONS, "feedback": FEEDBACK}
"""By action: the table of the rows whose digests an entry has."""


@dataclass(frozen=True)
class Verified:
    """What was found in order.

    Args:
        entries: Of the chain.
        head: Hash of the newest.
        rows: Of the log and of the feedback that are what the chain says.
        gone: That were erased or had lived their time, as the chain says.
        checkpoints: That were met.
        covered: Entries up to the newest checkpoint: what came after it could be cut unseen.
    """

    entries: int
    head: str
    rows: int
    gone: int
    checkpoints: int
    covered: int


@dataclass
class _Tombs:
    """What the chain says is gone: ids of predictions or requests, and up to which time."""

    erased: set[str] = field(default_factory=set)
    before: str = ""

    def note(self, entry: dict[str, Any]) -> None:
        if entry["action"] == "erase":
            self.erased.add(entry["object"])
        elif entry["action"] == "purge":
            self.before = max(self.before, str(entry["extra"]["before"]))

    def explain(self, entry: dict[str, Any], identity: str) -> bool:
        """Whether a row of an entry may be missing."""
        return entry["time"] < self.before or bool({identity, identity.rpartition("-")[0]} & self.erased)


def verify_state(place: Place, *, key: Path | None = None) -> Verified:
    """Compare everything with everything.

    Args:
        place: Of the state.
        key: File of the public key; None: the one beside the checkpoints.

    Raises:
        AuditBroken: The first entry, row or checkpoint that is not what it was.
        UsageError: `no_state`, `state_newer`, `state_older`, `audit_key`.
        StoreFailed: The database does not answer.
    """
    signed = _checkpoints(place, key)
    with read_only(place) as connection:
        tombs = _Tombs()
        head = _verify_chain(connection, signed, tombs)
        rows = gone = 0
        for action, table in TOLD_OF.items():
            found, missing = _verify_rows(connection, action, table, tombs)
            rows, gone = rows + found, gone + missing
    return Verified(head.seq, head.hash, rows, gone, len(signed), max((one.seq for one in signed), default=0))


def _checkpoints(place: Place, key: Path | None) -> list[Checkpoint]:
    path = key or place.audit / PUBLIC
    if key is None and not path.exists():
        return []
    return list(read_checkpoints(place.audit, public_key(path)))


def _verify_chain(connection: Connection, signed: list[Checkpoint], tombs: _Tombs) -> Head:
    """The newest entry, if every one follows from that before it and every checkpoint is met."""
    wanted = {one.seq: one for one in signed}
    with closing(_stream(connection, AUDIT, AUDIT.c.seq)) as rows:
        head = _linked(rows, wanted, tombs)
    _check_end(connection, head, wanted)
    return head


def _linked(rows: Iterator[Row[Any]], wanted: Mapping[int, Checkpoint], tombs: _Tombs) -> Head:
    """The newest entry, if every one follows from that before it and no checkpoint differs."""
    head = Head()
    for row in rows:
        if row.seq != head.seq + 1:
            raise AuditBroken(f"entry {head.seq + 1} of the chain is missing; the next is {row.seq}", DO)
        if row.hash != hash_of(head.hash, row.entry):
            raise AuditBroken(f"entry {row.seq} of the chain is not what it was", DO)
        head = Head(row.seq, row.hash)
        checkpoint = wanted.get(row.seq)
        if checkpoint is not None and (checkpoint.hash, checkpoint.count) != (row.hash, row.seq):
            raise AuditBroken(
                f"the chain was made anew at or before entry {row.seq}: a checkpoint of {checkpoint.time} differs", DO
            )
        if '"action":"erase"' in row.entry or '"action":"purge"' in row.entry:
            tombs.note(json.loads(row.entry))
    return head


def _check_end(connection: Connection, head: Head, wanted: Mapping[int, Checkpoint]) -> None:
    """Refuse a chain that ends before a checkpoint or before a row that it should tell of."""
    last = max(wanted, default=0)
    if last > head.seq:
        raise AuditBroken(
            f"the chain ends with entry {head.seq}; the checkpoint of {wanted[last].time} has {last}: "
            f"{last - head.seq} are cut off from entry {head.seq + 1}",
            DO,
        )
    for table in TOLD_OF.values():
        newest = connection.execute(select(func.max(table.c.seq))).scalar() or 0
        if newest > head.seq:
            raise AuditBroken(
                f"the chain ends with entry {head.seq}, but {table.name} has rows of entry {newest}: "
                f"it is cut off from entry {head.seq + 1}",
                DO,
            )


def _verify_rows(connection: Connection, action: str, table: Table, tombs: _Tombs) -> tuple[int, int]:
    """How many rows are what the chain says, and how many are gone as it says."""
    place = table.c.get("place")
    order = [table.c.seq] if place is None else [table.c.seq, place]
    with (
        closing(_stream(connection, table, *order)) as rows,
        closing(_stream(connection, AUDIT, AUDIT.c.seq)) as entries,
    ):
        return _compared(rows, entries, action, table.name, tombs)


def _compared(
    rows: Iterator[Row[Any]], entries: Iterator[Row[Any]], action: str, table: str, tombs: _Tombs
) -> tuple[int, int]:
    row = next(rows, None)
    found = missing = 0
    for entry_row in entries:
        if f'"action":"{action}"' not in entry_row.entry:
            continue
        entry = json.loads(entry_row.entry)
        if entry["action"] != action:
            continue
        for number, digest in enumerate(entry["extra"]["rows"]):
            if row is not None and row.seq == entry_row.seq and getattr(row, "place", 0) == number:
                if digest_of_row(row._asdict()) != digest:
                    raise AuditBroken(f"a row of {table} is not what entry {row.seq} says of it: {row.id}", DO)
                found, row = found + 1, next(rows, None)
            elif tombs.explain(entry, _identity(entry, number)):
                missing += 1
            else:
                raise AuditBroken(f"row {number} of entry {entry_row.seq} is missing in {table}", DO)
    if row is not None:
        raise AuditBroken(f"{table} has a row that no entry tells of, at entry {row.seq}: {row.id}", DO)
    return found, missing


def _identity(entry: dict[str, Any], number: int) -> str:
    """The prediction that a row of an entry is about."""
    return str(entry["extra"].get("prediction", f"{entry['object']}-{number}"))


def _stream(connection: Connection, table: Table, *order: Any) -> Generator[Row[Any], None, None]:
    """Rows in an order, a few in memory; to be closed, as the database keeps its place in them."""
    with connection.execution_options(yield_per=AT_ONCE).execute(select(table).order_by(*order)) as rows:
        yield from rows
