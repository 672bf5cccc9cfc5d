"""A text being searched: its form for matching, what stands near a place, and the time that is left."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from underlay.serve.redaction.patterns import Pattern, compiled

BEFORE = 28
"""Characters before a candidate in which a word about it is looked for: a label, a bracket and a few words."""

AFTER = 14
"""Characters after it."""

CERTAIN = 0.5
"""A candidate below this is left alone."""


class RedactionTimeout(Exception):
    """The time allowed for one text is over."""


@dataclass(frozen=True)
class Found:
    """A part of the form for matching that a rule recognised.

    Args:
        kind: What it is, as the placeholder says it: `PHONE`.
        rule: The row of the rules that found it: `mobile`.
        start: First character.
        end: After the last.
        certainty: 0 to 1.
        value: What makes two of them the same: digits without separators, an address in lower case; never shown.
    """

    kind: str
    rule: str
    start: int
    end: int
    certainty: float
    value: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind}, {self.rule}, {self.start}:{self.end}, {self.certainty:.2f})"


@dataclass(frozen=True)
class View:
    """A text in the form for matching.

    Args:
        text: The form.
        context: Words that count as if they stood before every candidate, if none stand there: a column's name.
        deadline: When time is over, on the clock.
        clock: Seconds that only grow.
        words: Words the user wants gone.
    """

    text: str
    context: str = ""
    deadline: float = float("inf")
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    words: tuple[str, ...] = ()

    def tick(self) -> None:
        """Let time be noticed.

        Raises:
            RedactionTimeout: It is over.
        """
        if self.clock() > self.deadline:
            raise RedactionTimeout

    def matches(self, pattern: Pattern) -> Iterator[Any]:
        """Matches of a pattern from left to right, while there is time.

        Raises:
            RedactionTimeout: Time is over.
        """
        self.tick()
        for count, found in enumerate(pattern.finditer(self.text), 1):
            if count % 64 == 0:  # a look at the clock costs as much as a tenth of a match
                self.tick()
            yield found

    def before(self, start: int, length: int = BEFORE) -> str:
        """The characters before a place."""
        return self.text[max(0, start - length) : start]

    def after(self, end: int, length: int = AFTER) -> str:
        """The characters after a place."""
        return self.text[end : end + length]

    def leaning(self, start: int, end: int, words: Pattern, *, near: bool = False) -> int:
        """What the words around a candidate say: 1 that it is one, -1 that it is not, 0 nothing.

        The nearest word before it decides, then the nearest after it in the same line, then the context. A word against
        it counts only if nothing ends between the two: the number of an order has nothing to say of the next clause.

        Args:
            start: Of the candidate.
            end: Of the candidate.
            words: Its first group matches words for, its second group words against.
            near: Whether words for it must stand in its own clause too.
        """
        said = _last(words, self.before(start), near=near)
        if said:
            return said
        after = self.after(end).partition("\n")[0]
        found = words.search(after) if after else None
        if found is not None and not after.startswith(". ") and not _parted(after[: found.start()]):
            return 1 if found.group(1) is not None else -1
        return _last(words, self.context, near=False) if self.context else 0


_PARTED = compiled(r"[,;，；。！？、|]|(?:[^oO]|[^nN][oO])\. |[^:\n]\n|[!?] |[0-9]{3}")


def _parted(text: str) -> bool:
    """Whether something ends before the word, so that it belongs to what comes next."""
    return _PARTED.search(text) is not None


def _last(words: Pattern, text: str, *, near: bool) -> int:
    said = 0
    for found in words.finditer(text):
        speaks_for = found.group(1) is not None
        if speaks_for and not near:
            said = 1
        elif not _parted(text[found.end() :]):
            said = 1 if speaks_for else -1
    return said


def about(positive: str, negative: str = "") -> Pattern:
    """A pattern for `View.leaning`: words for a reading and words against it, apart by `|`.

    >>> about("tel|电话", "order|订单").search("my Order").group(2)
    'Order'
    """
    return compiled(f"(?i)({_words(positive)})" + (f"|({_words(negative)})" if negative else "|([^\\x00-\\x{10FFFF}])"))


def _words(text: str) -> str:
    r"""Alternatives; those of Latin letters only where no letter stands before or after them."""
    words = sorted(text.split("|"), key=len, reverse=True)  # RE2 takes the first alternative that fits
    latin = [word for word in words if word.isascii()]
    others = [word for word in words if not word.isascii()]
    parts = [*others, *([rf"(?:\b|_)(?:{'|'.join(latin)})(?:\b|_)"] if latin else [])]
    return "|".join(parts)


def alone(view: View, start: int, end: int) -> bool:
    """Whether no Latin letter, digit or underscore touches a candidate."""
    return not _joins(view.text[start - 1 : start]) and not _joins(view.text[end : end + 1])


def _joins(sign: str) -> bool:
    return sign.isascii() and (sign.isalnum() or sign == "_")
