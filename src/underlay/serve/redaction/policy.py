"""What is redacted and how."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from underlay.core import UsageError

Mode: TypeAlias = Literal["index", "pseudonym", "drop"]

KINDS = (
    "ID_CARD", "PHONE", "BANK_CARD", "IBAN", "CREDIT_CODE", "EMAIL", "IP", "MAC", "PASSPORT", "PERMIT", "PLATE", "SSN",
    "SECRET", "ADDRESS", "PERSON", "WORD",
)  # fmt: skip
"""What can be recognised, as placeholders say it; ADDRESS and PERSON are best effort."""

SHORTEST_KEY = 16
"""Bytes of a key for pseudonyms: 128 bits, beyond search."""

SECONDS, SECONDS_PER_MILLION = 10.0, 40.0
"""Time allowed for a text, and for a million characters more, where no limit is given: ten times what a slow core
takes, as files are redacted on machines that do other things too. A service gives its own limit."""


@dataclass(frozen=True)
class Policy:
    """What is redacted and how.

    Args:
        kinds: Which of `KINDS`.
        mode: `index` writes `[PHONE_1]`, the same for the same value in one document; `pseudonym` writes a keyed digest
            in place of the number, the same in every document; `drop` writes nothing.
        key: Of the pseudonyms; at least 16 bytes, secret.
        words: Names and other words of the user's own that are always redacted.
        numerals: Whether runs of Chinese numerals are read as digits.
        seconds: Longest time for one text, after which it is masked whole; None for ten seconds and 40 more for
            every million characters.

    Raises:
        UsageError: A kind or mode that there is not, no key where one is needed, no time at all.

    >>> Policy(kinds=("PHONE",)).mode
    'index'
    """

    kinds: tuple[str, ...] = KINDS
    mode: Mode = "index"
    key: bytes = field(default=b"", repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    numerals: bool = True
    seconds: float | None = None

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise UsageError(f"nothing is recognised as {unknown[0]!r}", f"known: {', '.join(KINDS)}")
        if self.mode not in ("index", "pseudonym", "drop"):
            raise UsageError(f"there is no mode {self.mode!r}", "choose index, pseudonym or drop")
        if self.mode == "pseudonym" and len(self.key) < SHORTEST_KEY:
            raise UsageError(
                f"pseudonyms need a secret key of at least {SHORTEST_KEY} bytes; this one has {len(self.key)}",
                "make one with `openssl rand -out key.bin 32`",
            )
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise UsageError(f"{self.seconds} seconds are no limit", "give a number above 0")
        if not all(word.strip() for word in self.words):
            raise UsageError("one of the words is empty", "leave it out")

    def seconds_for(self, length: int) -> float:
        """Seconds allowed for a text of so many characters."""
        return self.seconds if self.seconds is not None else SECONDS + SECONDS_PER_MILLION * length / 1e6


def rule_set() -> str:
    """The version of the rules, from everything they search for; it changes whenever what is recognised can change.

    >>> rule_set().partition("+")[0]
    'redaction.v1'
    """
    from underlay.serve.redaction.patterns import KNOWN

    return f"redaction.v1+{hashlib.sha256(chr(0).join(KNOWN).encode()).hexdigest()[:12]}"
