"""Redaction of one text: what it holds is replaced until nothing is recognised, or the whole of it is masked."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from underlay.core import MissingExtra
from underlay.serve.redaction.finding import Span, find, settled
from underlay.serve.redaction.patterns import KNOWN, Pattern
from underlay.serve.redaction.placeholders import Numbering, back, placeholder, replaced
from underlay.serve.redaction.policy import Policy
from underlay.serve.redaction.view import RedactionTimeout

MASKED = "[REDACTION_FAILED]"
"""What stands for a text that could not be redacted."""

FAILED = "FAILED"
"""The kind under which such a text is counted."""

ROUNDS = 6
"""How often what is left is searched again; two suffice but where a replacement lets something new be recognised."""


@dataclass(frozen=True)
class Redaction:
    """A text without what the policy wants gone.

    Args:
        text: Safe to store.
        spans: What went, by place in the original; not its values.
        counts: How many of each kind.
        failed: Why the text was masked whole: `redaction_timeout`, `redaction_failed` or `invalid_text`; None if not.
    """

    text: str
    spans: tuple[Span, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: str | None = None


def redact(
    text: str, policy: Policy | None = None, *, context: str = "", numbering: Numbering | None = None
) -> Redaction:
    """Replace what identifies a person or opens a door; if that fails, mask everything.

    Idempotent: redacting the result changes nothing. Text outside of the spans is what it was.

    Args:
        text: As it was written.
        policy: What is redacted and how; the default takes every kind and writes `[PHONE_1]`.
        context: Words that count as if they stood before every candidate: the name of the text's column.
        numbering: Of the document that the text is a part of; its own if None.

    Raises:
        MissingExtra: RE2 or the telephone library is not installed; no other exception leaves this function.

    >>> redact("call 13800138000 or ann@example.com").text
    'call [PHONE_1] or [EMAIL_1]'
    """
    try:
        return _redact(text, policy or Policy(), context, numbering or Numbering())
    except MissingExtra:
        raise
    except RedactionTimeout:
        return _masked("redaction_timeout")
    except UnicodeError:
        return _masked("invalid_text")
    # Closed: whatever went wrong, the text does not leave; nor does the error, which may quote it.
    except Exception:  # noqa: BLE001
        return _masked("redaction_failed")


@cache
def ready() -> None:
    """Load the telephone library and compile every pattern, so that no text's time is spent on it.

    Raises:
        MissingExtra: One of them is not installed.
    """
    for source in KNOWN:
        Pattern(source).search("")
    redacted = find("+1 415 555 2671", Policy())
    if [span.kind for span in redacted] != ["PHONE"]:
        raise RuntimeError("the telephone library does not know a number that it knew when the rules were written")


def _masked(why: str) -> Redaction:
    return Redaction(MASKED, (), {FAILED: 1}, why)


def _redact(text: str, policy: Policy, context: str, numbering: Numbering) -> Redaction:
    ready()
    deadline = time.monotonic() + policy.seconds_for(len(text))
    numbering.skip(text)
    spans = find(text, policy, context=context, deadline=deadline)
    for _ in range(ROUNDS):
        # A copy: numbers of a round that is not the last must not be given out.
        tried = Numbering(dict(numbering.given), dict(numbering.last))
        pieces = [(span, placeholder(span, policy, tried)) for span in spans]
        result, places = replaced(text, pieces)
        left = find(result, policy, context=context, deadline=deadline) if spans else []
        if not left:
            numbering.given, numbering.last = tried.given, tried.last
            shown = tuple(replace(span, value="") for span in spans)
            return Redaction(result, shown, dict(Counter(span.kind for span in spans)))
        spans = settled([*spans, *(_moved(span, pieces, places) for span in left)])
    return _masked("redaction_failed")


def _moved(span: Span, pieces: list[tuple[Span, str]], places: list[tuple[int, int]]) -> Span:
    start, end = back(span.start, span.end, pieces, places)
    return replace(span, start=start, end=end)
