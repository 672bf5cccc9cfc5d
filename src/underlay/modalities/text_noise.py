"""Texts damaged as fingers, channels and pranksters damage them."""

from collections.abc import Callable, Sequence

import numpy as np

from underlay.core import UnknownName, UsageError
from underlay.modalities.text_words import LOOKALIKES, parts

SIGNS = (
    *(".", ",", "!", "?", "...", "'s", " -", " &", " $", " (2)", " 10", " 3.5"),
    *(" é", " Ü", "é", " ２", " ﬁ", " 好", " 的", " привет", " 🙂", " [SEP]", "\u200b", "  ", "\n"),
)
"""What stands between and behind words in real texts."""

RATES = (0.02, 0.05, 0.10, 0.20, 0.35)
"""Share of words damaged at severity 1 to 5."""

NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl",
    "p": "ol", "a": "qsz", "s": "adw", "d": "sfe", "f": "dgr", "g": "fht", "h": "gjy", "j": "hku", "k": "jli",
    "l": "ko", "z": "xa", "x": "zcs", "c": "xvd", "v": "cbf", "b": "vng", "n": "bmh", "m": "nj",
}  # fmt: skip
"""Keys side by side on a QWERTY keyboard."""

Change = Callable[[str, np.random.Generator], str]


def augment(text: str, rng: np.random.Generator, *, typos: float, drop: float, swap: float) -> str:
    """The text with each damage at its own rate; a text keeps at least one word."""
    return _swap(_drop(_each(text, typos, slip, rng), drop, rng), swap, rng)


def corrupt(text: str, kind: str, severity: int, rng: np.random.Generator) -> str:
    """The text with one kind of damage.

    Raises:
        UnknownName: `kind` is none of `KINDS`.
        UsageError: `severity` is not 1 to 5.
    """
    if kind not in KINDS:
        raise UnknownName("kind of text damage", kind, KINDS)
    if not 1 <= severity <= len(RATES):
        raise UsageError(f"severity is {severity}", "give 1 (slight) to 5")
    return KINDS[kind](text, RATES[severity - 1], rng)


def dress(words: Sequence[str], rng: np.random.Generator) -> str:
    """The words as people write them: some in capitals or with accents, some marks, digits and foreign signs between.

    What a tokenizer or a normaliser does to each of these then shows in the scores of a probe.
    """
    dressed = []
    for word in words:
        draw = rng.random()
        dressed.append(word.upper() if draw < 0.06 else word.capitalize() if draw < 0.15 else word)
        if rng.random() < 0.15:
            dressed[-1] += SIGNS[int(rng.integers(len(SIGNS)))]
    return " ".join(dressed)


def slip(word: str, rng: np.random.Generator) -> str:
    """The word with one slip: two letters exchanged, one left out, doubled, or hit beside.

    >>> slip("a", np.random.default_rng(0))
    'a'
    """
    if len(word) < 2 or not word.isalpha():
        return word
    place = int(rng.integers(len(word) - 1))
    beside = NEIGHBOURS.get(word[place].lower(), word[place])
    choices = (
        word[:place] + word[place + 1] + word[place] + word[place + 2 :],
        word[:place] + word[place + 1 :],
        word[: place + 1] + word[place:],
        word[:place] + beside[int(rng.integers(len(beside)))] + word[place + 1 :],
    )
    return choices[int(rng.integers(len(choices)))]


def _disguise(word: str, rng: np.random.Generator) -> str:
    places = [place for place, letter in enumerate(word) if letter in LOOKALIKES]
    if not places:
        return word
    place = places[int(rng.integers(len(places)))]
    return word[:place] + LOOKALIKES[word[place]] + word[place + 1 :]


def _hide(word: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(len(word) + 1))
    return word[:place] + "\u200b" + word[place:]


def _recase(word: str, rng: np.random.Generator) -> str:
    return word.upper() if rng.random() < 0.5 else word.swapcase()


def _split(word: str, rng: np.random.Generator) -> str:
    if len(word) < 2:
        return word
    place = int(rng.integers(1, len(word)))
    return word[:place] + " " + word[place:]


def _each(text: str, rate: float, change: Change, rng: np.random.Generator) -> str:
    """`change` applied to a share `rate` of the words, everything between them untouched."""
    gaps, words = _take_apart(text)
    return _put_together(gaps, [change(word, rng) if rng.random() < rate else word for word in words])


def _drop(text: str, rate: float, rng: np.random.Generator) -> str:
    gaps, words = _take_apart(text)
    kept = [place for place in range(len(words)) if rng.random() >= rate] or list(range(min(len(words), 1)))
    if len(kept) == len(words):
        return text
    return _put_together([gaps[0], *(gaps[place + 1] for place in kept)], [words[place] for place in kept])


def _swap(text: str, rate: float, rng: np.random.Generator) -> str:
    gaps, words = _take_apart(text)
    for place in range(len(words) - 1):
        if rng.random() < rate:
            words[place], words[place + 1] = words[place + 1], words[place]
    return _put_together(gaps, words)


def _take_apart(text: str) -> tuple[list[str], list[str]]:
    """The gaps (one more) and the words of a text."""
    found = parts(text)
    edges = [0, *(part.stop for part in found)]
    starts = [*(part.start for part in found), len(text)]
    return [text[left:right] for left, right in zip(edges, starts, strict=True)], [part.text for part in found]


def _put_together(gaps: list[str], words: list[str]) -> str:
    return gaps[0] + "".join(word + gap for word, gap in zip(words, gaps[1:], strict=True))


def _of_words(change: Change) -> Callable[[str, float, np.random.Generator], str]:
    return lambda text, rate, rng: _each(text, rate, change, rng)


KINDS: dict[str, Callable[[str, float, np.random.Generator], str]] = {
    "case": _of_words(_recase),
    "drop": _drop,
    "homoglyph": _of_words(_disguise),
    "invisible": _of_words(_hide),
    "spaces": _of_words(_split),
    "swap": _swap,
    "typos": _of_words(slip),
}
"""Name -> damage `(text, share of words, rng) -> text`."""
