"""Where a text holds what must go: every rule asked, overlaps settled, places told in the text as it was written."""

import time
from collections.abc import Callable, Iterator

from underlay.serve.redaction.identity import documents
from underlay.serve.redaction.matching import matching
from underlay.serve.redaction.network import addresses
from underlay.serve.redaction.numbers import numbers
from underlay.serve.redaction.patterns import compiled
from underlay.serve.redaction.people import dictionary, people
from underlay.serve.redaction.policy import Policy
from underlay.serve.redaction.secrets import secrets
from underlay.serve.redaction.view import Found, View

RULES: tuple[Callable[[View], Iterator[Found]], ...] = (numbers, documents, addresses, secrets, people, dictionary)
"""Every rule; each gives what it recognises in a view."""

WINDOW = 1 << 18
"""Characters searched at once: bounds the memory that a huge text takes."""

OVERLAP = 1 << 14
"""Characters that two windows share: longer than anything that is recognised, a private key of 16384 bits included."""

PLACEHOLDER = compiled(r"\[[A-Z][A-Z_]{1,11}_[0-9a-f]{1,16}\]")


class Span(Found):
    """A part of the original text that goes: `start` and `end` are places in the text as it was written."""


def find(text: str, policy: Policy, *, context: str = "", deadline: float = float("inf")) -> list[Span]:
    """Parts of `text` that the policy wants gone, from left to right, apart from each other.

    Args:
        text: As it was written.
        policy: What is looked for.
        context: Words that count as if they stood before every candidate: a column's name.
        deadline: On `time.monotonic`.

    Raises:
        RedactionTimeout: The deadline has passed.
        UnicodeEncodeError: The text holds a lone surrogate.
        MissingExtra: RE2 or the telephone library is not installed.
    """
    spans: list[Span] = []
    for start in range(0, max(1, len(text)), WINDOW):
        left = max(0, start - OVERLAP)
        part = text[left : start + WINDOW + OVERLAP]
        inside = (
            span for span in _in_window(part, left, policy, context, deadline) if start <= span.start < start + WINDOW
        )
        spans += inside
    return settled(spans)


def _in_window(text: str, offset: int, policy: Policy, context: str, deadline: float) -> Iterator[Span]:
    form = matching(text, numerals=policy.numerals)
    view = View(form.text, context, deadline, time.monotonic, policy.words)
    kept = [(found.start(), found.end()) for found in view.matches(PLACEHOLDER)]
    for rule in RULES:
        for found in rule(view):
            if found.kind in policy.kinds and not _within(found, kept):
                start, end = form.original(found.start, found.end)
                yield Span(found.kind, found.rule, start + offset, end + offset, found.certainty, found.value)


def _within(found: Found, kept: list[tuple[int, int]]) -> bool:
    """Whether it lies inside a placeholder that stands in the text already."""
    from bisect import bisect_right

    place = bisect_right(kept, (found.start, len(kept) and kept[-1][1]))
    return place > 0 and kept[place - 1][0] <= found.start and found.end <= kept[place - 1][1]


def settled(spans: list[Span]) -> list[Span]:
    """Spans apart from each other: of those that overlap the longest stays, then the more certain.

    Where two overlap and neither holds the other, what goes is all that either covers.
    """
    done: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not done or span.start >= done[-1].end:
            done.append(span)
            continue
        last = done[-1]
        best = max((last, span), key=lambda one: (one.end - one.start, one.certainty))
        done[-1] = Span(best.kind, best.rule, last.start, max(last.end, span.end), best.certainty, best.value)
    return done
