"""The words of a text: what explanations take out, attacks replace and near-duplicates share."""

import html
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from underlay.core import Part
from underlay.modalities.text_normaliser import NEUTRAL, normalise

SHINGLE = 5
"""Characters a shingle: about one English word, so that one changed word spoils about ten shingles."""

LOOKALIKES = dict(zip("aceopxyiABEHKMOPT", "асеорхуіАВЕНКМОРТ", strict=True))
"""Latin letters and Cyrillic ones drawn the same."""

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_MARK = (
    "!-/:-@\\[-^`{-~\u00a1-\u00a9\u00ab\u00ac\u00ae-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2bff\u2e00-\u2e7f\u3000-\u303f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff"
)
_JOIN = "\u200d\ufe0f\u20e3\U0001f3fb-\U0001f3ff"
_PART = re.compile(
    f"[{_IDEOGRAPH}]|[^\\s{_IDEOGRAPH}{_MARK}]+(?:['’][^\\s{_IDEOGRAPH}{_MARK}]+)*"
    f"|([{_MARK}])(?:\\1|[{_JOIN}]+[{_MARK}]?)*"
)


def parts(text: str) -> tuple[Part, ...]:
    """Words, single ideographs and marks, in order.

    >>> [part.text for part in parts("Don't go! 很好")]
    ["Don't", 'go', '!', '很', '好']
    """
    return tuple(Part(found.start(), found.end(), found.group()) for found in _PART.finditer(text))


def without(text: str, left_out: Sequence[Part]) -> str:
    """The text with these parts cut out, one space where two would meet; NEUTRAL where nothing is left.

    >>> without("a very good film", [Part(2, 6, "very")])
    'a good film'
    """
    if not left_out:
        return text
    kept, place = "", 0
    for part in sorted(left_out):
        kept = _join(kept, text[place : part.start])
        place = max(place, part.stop)
    kept = _join(kept, text[place:])
    return kept if parts(kept) else NEUTRAL


def substitutes(text: str, part: Part) -> tuple[str, ...]:
    """The text with the part recased, its inner letters changed places, one doubled, or a look-alike in it."""
    word = text[part.start : part.stop]
    swapped = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 2)]
    middle = len(word) // 2
    doubled = word[:middle] + word[middle : middle + 1] * 2 + word[middle + 1 :] if len(word) > 2 else word
    disguised = next((word.replace(letter, LOOKALIKES[letter], 1) for letter in word if letter in LOOKALIKES), word)
    variants = dict.fromkeys([word.lower(), word.upper(), word.capitalize(), *swapped, doubled, disguised])
    return tuple(text[: part.start] + variant + text[part.stop :] for variant in variants if variant != word)


def render(text: str, weights: Sequence[float]) -> str:
    """HTML of the text, each part shaded: green pushes towards the answer (1), red away from it (-1).

    >>> render("good", [1.0])
    '<span class="text"><mark style="background:rgba(46,160,67,0.60)" title="+1.000">good</mark></span>'
    """
    shown, place = [], 0
    for part, weight in zip(parts(text), weights, strict=True):
        shown += [html.escape(text[place : part.start]), shaded(part.text, weight)]
        place = part.stop
    return f'<span class="text">{"".join(shown)}{html.escape(text[place:])}</span>'


def shaded(word: str, weight: float) -> str:
    """HTML of one word, green for a weight above 0, red below, as strong as the weight is large."""
    colour = "46,160,67" if weight >= 0 else "218,54,51"
    shade = f"background:rgba({colour},{0.6 * min(abs(weight), 1.0):.2f})"
    return f'<mark style="{shade}" title="{weight:+.3f}">{html.escape(word)}</mark>'


def fingerprint(text: str) -> np.ndarray:
    """Sorted distinct hashes of the folded text's shingles and of the whole, uint64; empty for an empty text.

    >>> bool((fingerprint("A fine film") == fingerprint("a  FINE film")).all())
    True
    """
    folded = " ".join(normalise(text).casefold().split())
    if not folded:
        return np.empty(0, dtype=np.uint64)
    codes = np.frombuffer(folded.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    width = min(SHINGLE, len(codes))
    rolled = np.lib.stride_tricks.sliding_window_view(codes, width) @ _FACTORS[:width]
    # The whole in its order, so that equal sets mean equal texts.
    order = np.arange(1, len(codes) + 1, dtype=np.uint64) << np.uint64(21)  # above every code point
    whole = spread(codes | order).sum(keepdims=True)
    return np.unique(spread(np.concatenate([rolled, whole])))


def fold(text: object) -> str:
    """The text, or list of words, as the classical baseline reads it; empty for what is neither.

    >>> fold(None), fold(["A", "fine", "film"])
    ('', 'a fine film')
    """
    if isinstance(text, list):
        text = " ".join(word for word in text if isinstance(word, str))
    return normalise(text).casefold() if isinstance(text, str) else ""


WORD = r"\w+|[^\w\s]+"
"""A word of any length, or a run of other signs: a text of emoji has a vocabulary too."""


def tfidf(*, characters: bool, rows: int) -> Any:
    """An unfitted TF-IDF: words and pairs of words, or 1 to 3 characters.

    Args:
        characters: For scripts without spaces between words.
        rows: Training rows; among few, a word seen once still counts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # a second of import that most commands do without

    shape = (
        {"analyzer": "char", "ngram_range": (1, 3)} if characters else {"ngram_range": (1, 2), "token_pattern": WORD}
    )
    return TfidfVectorizer(
        preprocessor=fold, sublinear_tf=True, min_df=2 if rows >= 100 else 1, max_features=200_000, **shape
    )


def _join(left: str, right: str) -> str:
    if right[:1].isspace() and (not left or left[-1:].isspace()):
        return left + right[1:]
    return left + right


def spread(numbers: np.ndarray) -> np.ndarray:
    """Spread 64-bit numbers evenly. Source: Steele et al., Fast Splittable Pseudorandom Number Generators, 2014."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


_FACTORS = spread(np.arange(SHINGLE, dtype=np.uint64)) | np.uint64(1)
"""Odd numbers without a pattern, one for each place in a shingle."""
