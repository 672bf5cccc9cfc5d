"""Patterns that run in time linear in the text, whatever the text is: RE2 and nothing else."""

from functools import cache
from typing import Any

from underlay.core import MissingExtra


class Pattern:
    """A pattern that is compiled when it is first used, so that a module of patterns imports without RE2.

    Args:
        source: In RE2's syntax.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def finditer(self, text: str) -> Any:
        """Matches from left to right that do not overlap."""
        return _compile(self.source).finditer(text)

    def search(self, text: str) -> Any:
        """The first match, or None."""
        return _compile(self.source).search(text)

    def fullmatch(self, text: str) -> Any:
        """A match of the whole text, or None."""
        return _compile(self.source).fullmatch(text)


KNOWN: list[str] = []
"""The source of every pattern, in the order of definition: what the digest of the rules covers."""


def compiled(source: str) -> Pattern:
    """A pattern of the rule set.

    >>> compiled("[0-9]+").search("no 42").span()
    (3, 5)
    """
    KNOWN.append(source)
    return Pattern(source)


@cache
def _compile(source: str) -> Any:
    try:
        import re2
    except ImportError as error:
        raise MissingExtra("redaction", "redact") from error
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20  # the default of 8 MiB holds no three repeated classes of all letters
    return re2.compile(source, options)
