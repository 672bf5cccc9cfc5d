"""Spans in a row of tags: `B-place I-place O` is a place of two words."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
"""The tag of a unit that belongs to no span."""

_BEGINS, _INSIDE, _ENDS, _ALONE = "B", "I", frozenset("EL"), frozenset("SU")  # L and U: the letters of BILOU
_LETTERS = frozenset("BIELSU")


class Span(NamedTuple):
    """Units of one kind side by side.

    Args:
        start: Number of the first unit.
        stop: One past the last.
        kind: What they are; empty where the tags name no kinds.
    """

    start: int
    stop: int
    kind: str


def are_span_tags(labels: Iterable[str]) -> bool:
    """Whether the labels of a target are tags of spans: a letter of B I E L S U, alone or before `-KIND`, and `O`.

    >>> are_span_tags(["B-place", "I-place", "O"]), are_span_tags(["NOUN", "VERB"]), are_span_tags(["O"])
    (True, False, False)
    """
    marked = [label for label in labels if label != OUTSIDE]
    return bool(marked) and all(_parted(label) is not None for label in marked)


def find_spans(tags: Sequence[str | None]) -> list[Span]:
    """The spans of a row, in order, read as the evaluation of the CoNLL shared tasks reads them.

    A span begins at B or S, and wherever a tag follows no span of its own kind: `I-place` after `O` begins one, so that
    IOB1, IOB2 and BIOES are read alike. It ends after E or S, and before whatever begins another or lies outside.
    None is outside.

    Source: Tjong Kim Sang & Buchholz, Introduction to the CoNLL-2000 Shared Task, 2000, and its script conlleval.

    >>> find_spans(["B-place", "I-place", "O", "I-name"])
    [Span(start=0, stop=2, kind='place'), Span(start=3, stop=4, kind='name')]
    """
    found: list[Span] = []
    start, open_kind = 0, None
    for at, tag in enumerate(tags):
        letter, kind = (None if tag is None else _parted(tag)) or ("", None)
        begins = kind is not None and (letter == _BEGINS or letter in _ALONE or kind != open_kind)
        if open_kind is not None and (begins or kind is None):
            found.append(Span(start, at, open_kind))
            open_kind = None
        if begins:
            start, open_kind = at, kind
        if open_kind is not None and (letter in _ENDS or letter in _ALONE):
            found.append(Span(start, at + 1, open_kind))
            open_kind = None
    if open_kind is not None:
        found.append(Span(start, len(tags), open_kind))
    return found


def span_kinds(labels: Iterable[str]) -> tuple[str, ...]:
    """The kinds that tags name, in their order.

    >>> span_kinds(["B-place", "I-place", "O", "B-name"])
    ('place', 'name')
    """
    parted = [_parted(label) for label in labels]
    return tuple(dict.fromkeys(part[1] for part in parted if part is not None))


def _parted(tag: str) -> tuple[str, str] | None:
    """Letter and kind of a tag, None for one that lies outside."""
    letter, _, kind = tag.partition("-")
    return (letter, kind) if letter in _LETTERS else None
