"""The chain: every entry holds the digest of the one before, so that none can be changed, removed or moved unseen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from underlay.serve.state.canonical import canonical

START = "0" * 64
"""What stands for the hash before the first entry."""


@dataclass(frozen=True)
class Head:
    """The newest entry.

    Args:
        seq: Its number; 0 where there is none.
        hash: Its hash, hexadecimal.
    """

    seq: int = 0
    hash: str = START


@dataclass(frozen=True)
class Entry:
    """What happened, before it has its place in the chain.

    Args:
        actor: Id of the key, `open` for a request without one, `server`, or `command` for the command line.
        action: `predict`, `feedback`, `erase`, `purge`, `export`, `start`, `stop` and what else is acknowledged.
        object: What it was done to: the id of a request or of a prediction, a name.
        model: Seal of the bundle; "" where none is concerned.
        rules: Version of the redaction; "" where nothing was redacted.
        outcome: What came of it, JSON data.
        inputs: HMACs of what was sent, which can be compared as long as the row with their salt is there.
        extra: More, JSON data; never a text that somebody sent.
    """

    actor: str
    action: str
    object: str = ""
    model: str = ""
    rules: str = ""
    outcome: Any = None
    inputs: tuple[str, ...] = ()
    extra: Mapping[str, Any] | None = None


def link(head: Head, entry: Entry, *, microseconds: int, monotonic_ms: int) -> tuple[Head, str]:
    """The new head, and the text that is stored.

    Args:
        head: The entry before.
        entry: The new one.
        microseconds: Since 1970.
        monotonic_ms: Of a clock that never jumps, so that a jump of the other is seen.

    >>> link(Head(), Entry("server", "start"), microseconds=0, monotonic_ms=0)[0].seq
    1
    """
    text = canonical(
        {
            "seq": head.seq + 1,
            "time": iso(microseconds),
            "monotonic_ms": monotonic_ms,
            "actor": entry.actor,
            "action": entry.action,
            "object": entry.object,
            "model": entry.model,
            "rules": entry.rules,
            "outcome": entry.outcome,
            "inputs": list(entry.inputs),
            "extra": dict(entry.extra or {}),
            "prev": head.hash,
        }
    )
    return Head(head.seq + 1, hash_of(head.hash, text)), text


def hash_of(before: str, text: str) -> str:
    """The hash of an entry.

    Args:
        before: Hash of the entry before, hexadecimal.
        text: As stored.
    """
    return sha256(bytes.fromhex(before) + text.encode("utf-8", "surrogatepass")).hexdigest()


def iso(microseconds: int) -> str:
    """A time as people read it, in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00.000000Z'
    """
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:06d}Z"
