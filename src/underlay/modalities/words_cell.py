"""A sentence as the list of its words: how a cell holds one, and which piece of it is which word's."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from underlay.core import RowError, listed
from underlay.modalities.text_normaliser import NEUTRAL, normalise


def read_words(value: Any) -> list[str]:
    """The words of a cell in their normal form, as many as it holds; some may be empty, not all.

    Args:
        value: A list of strings, a JSON list of them, or a string with spaces between the words.

    Raises:
        RowError: None of these, no word, a word that is no string, or none that can be seen.

    >>> read_words("EU rejects"), read_words('["New York", "!"]')
    (['EU', 'rejects'], ['New York', '!'])
    """
    items = listed(value)
    if items is None:
        missing = value is None or value != value
        raise RowError(
            "the words are missing" if missing else f"words are needed; found {value!r:.60} ({type(value).__name__})",
            'give a list of words, `["EU", "rejects"]`, or a sentence with spaces between them',
            code="missing_words" if missing else "not_words",
        )
    strange = next((at for at, item in enumerate(items) if not isinstance(item, str)), None)
    if strange is not None:
        found = items[strange]
        raise RowError(
            f"word {strange + 1} of {len(items)} is {found!r:.60} ({type(found).__name__})",
            "give every word as a string",
            code="not_words",
        )
    words = [normalise(word) for word in items]
    if not any(word.strip() for word in words) and items != [NEUTRAL]:
        raise RowError(
            f"none of {len(items)} words can be seen" if items else "the list of words is empty",
            "give at least one visible character",
            code="empty_words",
        )
    return words


def kept_words(words: Sequence[str], most: int, rule: str) -> list[int]:
    """Numbers of the words that are read: all of them, where they have at most `most` characters.

    Of more, the first ones; where the rule for long texts keeps the end too, a quarter from the front and the rest
    from the end.

    >>> kept_words(["aa", "bb", "cc", "dd"], 8, "head"), kept_words(["aa", "bb", "cc", "dd"], 9, "head-tail")
    ([0, 1], [2, 3])
    """
    ends = list(accumulate(len(word) + 1 for word in words))
    if not ends or ends[-1] <= most:
        return list(range(len(words)))
    front = most // 4 if rule == "head-tail" else most
    first = [at for at, end in enumerate(ends) if end <= front]
    start = ends[-1] - (most - front)
    last = [at for at, end in enumerate(ends) if end - len(words[at]) - 1 >= start]
    return [*first, *last] or [0]


def first_pieces(words: Sequence[str], stops: np.ndarray) -> np.ndarray:
    """For each piece of the words joined by spaces: the number of the word it is the first of, else -1; int64 `[L]`.

    Args:
        words: In their normal form.
        stops: The character before which each piece ends, `[L]`, never falling.

    >>> first_pieces(["New", "Yorkers"], np.array([3, 8, 11])).tolist()
    [0, 1, -1]
    """
    ends = np.array(list(accumulate(len(word) + 1 for word in words)), dtype=np.int64) - 1
    found = np.full(len(stops), -1, dtype=np.int64)
    if not len(words):
        return found
    owner = np.searchsorted(ends, stops)  # the first word that ends at or behind the piece
    inside = (stops > 0) & (owner < len(words))
    inside[inside] &= stops[inside] > (ends - [len(word) for word in words])[owner[inside]]  # not the space before it
    places = np.flatnonzero(inside)
    numbers, at = np.unique(owner[places], return_index=True)
    found[places[at]] = numbers
    return found
