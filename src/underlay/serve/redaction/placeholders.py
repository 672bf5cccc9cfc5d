"""What stands where something was: a typed sign that is the same for the same value."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from underlay.serve.redaction.finding import Span
from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.policy import Policy

DIGITS = 12
"""Hexadecimal digits of a pseudonym: 48 bits, so that a million people collide with a chance of 0.2 %."""

_NUMBERED = compiled(r"\[([A-Z][A-Z_]{1,11})_([0-9]{1,9})\]")


@dataclass
class Numbering:
    """Numbers given out in one document, which several texts may share; values are kept as digests alone.

    >>> numbering = Numbering()
    >>> numbering.of("PHONE", "13800138000"), numbering.of("PHONE", "13900139000"), numbering.of("PHONE", "13800138000")
    (1, 2, 1)
    """

    given: dict[tuple[str, bytes], int] = field(default_factory=dict, repr=False)
    last: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str, value: str) -> int:
        """The number of this value among those of its kind."""
        key = kind, hashlib.blake2b(value.encode("utf-8"), digest_size=16).digest()
        if key not in self.given:
            self.last[kind] = self.given[key] = self.last.get(kind, 0) + 1
        return self.given[key]

    def skip(self, text: str) -> None:
        """Give out none of the numbers that placeholders in the text already have."""
        for found in _NUMBERED.finditer(text):
            kind, number = found.group(1), int(found.group(2))
            self.last[kind] = max(number, self.last.get(kind, 0))


def placeholder(span: Span, policy: Policy, numbering: Numbering) -> str:
    """What stands where the span was.

    Args:
        span: What goes.
        policy: Says the mode.
        numbering: Of the document.
    """
    if policy.mode == "drop":
        return ""
    if policy.mode == "pseudonym":
        message = f"{span.kind}\0{span.value}".encode()
        return f"[{span.kind}_{hmac.new(policy.key, message, hashlib.sha256).hexdigest()[:DIGITS]}]"
    return f"[{span.kind}_{numbering.of(span.kind, span.value)}]"


def replaced(text: str, pieces: Sequence[tuple[Span, str]]) -> tuple[str, list[tuple[int, int]]]:
    """The text with its spans replaced, and where each replacement stands in it."""
    out: list[str] = []
    places: list[tuple[int, int]] = []
    at = length = 0
    for span, sign in pieces:
        out += [text[at : span.start], sign]
        length += span.start - at
        places.append((length, length + len(sign)))
        length += len(sign)
        at = span.end
    return "".join((*out, text[at:])), places


def back(
    start: int, end: int, pieces: Sequence[tuple[Span, str]], places: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Where a part of the replaced text lay in the original; a replacement that it touches counts whole."""
    return min(_back(start, pieces, places)), max(_back(end, pieces, places, closing=True))


def _back(
    place: int, pieces: Sequence[tuple[Span, str]], places: Sequence[tuple[int, int]], *, closing: bool = False
) -> Iterator[int]:
    shift = 0
    for (span, _), (start, end) in zip(pieces, places, strict=True):
        if place < start or (closing and place == start):
            break
        if place < end or (closing and place == end):
            yield span.end if closing else span.start
            return
        shift = span.end - end
    yield place + shift
