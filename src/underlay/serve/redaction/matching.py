"""The form of a text that is searched, and where each of its characters stands in the text as it was written.

Compatibility forms, full-width and other digits, dashes, blanks and letters that look Latin become plain ASCII;
invisible characters go; HTML entities and percent codes are read. Nothing of it is ever given out: it is for matching.
"""

import html
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underlay.serve.redaction.patterns import compiled

NUMERALS = str.maketrans("零〇○一二三四五六七八九壹贰叁肆伍陆柒捌玖貳參陸幺兩两", "000123456789123456789236122")
"""Chinese numerals that people spell numbers with, digit by digit."""

_LOOKALIKES = str.maketrans(
    "аеорсухіѕјԁԛԝһӏАВЕКМНОРСТХУІЅЈοανικρτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxisjdqwhlABEKMHOPCTXYISJoavikptuxABEZHIKMNOPTYX",
)
"""Cyrillic and Greek letters that look like Latin ones."""

_DIGIT_LOOKALIKES = str.maketrans("OoIl", "0011")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u30fc\ufe58\u2500\u02d7"
_DOTS = "\u00b7\u2022\u2027\u2219\u22c5\u30fb\u2024\uff65"
_LINES = "\n\u0085\u2028\u2029"
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0\ufffc\r"

_DULL = "A-Za-z0-9 \n!-%'-/:-@\\[-`{-~"
_SPECIAL = compiled(rf"[^{_DULL}&]|&[#A-Za-z]|%[0-9A-Fa-f][0-9A-Fa-f]")
_CODED = compiled(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});|%[2-7][0-9A-Fa-f]")
_NUMERAL = "0-9零〇○一二三四五六七八九壹贰叁肆伍陆柒捌玖貳參陸幺兩两"
_SPELLED = compiled(rf"([{_NUMERAL}](?:[ .\-]?[{_NUMERAL}]){{10,}})")
_DISGUISED = compiled(r"(?:^|[^0-9A-Za-z])([0-9OoIl](?:[ .\-]?[0-9OoIl]){10,22})")

LEAST_DIGITS = 0.4
"""Share of digits from which a run of digits and of O and l is taken for a number; a mobile may hold six zeros."""

_UNKNOWN = 255
_LENGTHS: NDArray[np.uint8] = np.full(0x110000, _UNKNOWN, np.uint8)
"""How many characters each code point becomes; filled as they are met."""


class _Folds(dict[int, str]):
    """Code point -> what it is read as."""

    def __missing__(self, code: int) -> str:
        folded = _folded(chr(code))
        self[code] = folded
        _LENGTHS[code] = len(folded)
        return folded


_FOLDS = _Folds()


@dataclass(frozen=True)
class Matching:
    """What is searched, and where it came from.

    Args:
        text: The form for matching.
        starts: For each of its characters, where that begins in the original; None where both are the same.
        ends: And where it ends.
    """

    text: str
    starts: NDArray[np.int64] | None = None
    ends: NDArray[np.int64] | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that a part of the form, of at least one character, came from."""
        if self.starts is None or self.ends is None:
            return start, end
        return int(self.starts[start]), int(self.ends[end - 1])


def matching(text: str, *, numerals: bool = True) -> Matching:
    """The form of `text` for matching.

    Args:
        text: Without lone surrogates.
        numerals: Read runs of at least eleven Chinese numerals as digits.

    >>> matching("电话１３８\\u200b００１３８０００").text
    '电话13800138000'
    >>> matching("１３８\\u200b００").original(2, 4)
    (2, 5)
    """
    if _SPECIAL.search(text) is None:
        return Matching(_spelled(text, numerals=numerals))
    plain, starts, ends = _decoded(text)
    folded = plain.translate(_FOLDS)
    codes = np.frombuffer(plain.encode("utf-32-le"), np.dtype("<u4"))
    lengths = _LENGTHS[codes]
    if starts is None and ends is None:
        starts = np.arange(len(plain), dtype=np.int64)
        ends = starts + 1
    if (lengths != 1).any():
        starts, ends = np.repeat(starts, lengths), np.repeat(ends, lengths)
    return Matching(_spelled(folded, numerals=numerals), starts, ends)


def _decoded(text: str) -> tuple[str, Any, Any]:
    """The text with entities and percent codes read, and the map to the original if there are any."""
    pieces, starts, ends = [], [], []
    at = 0
    for found in _CODED.finditer(text):
        sign = _sign(found.group())
        if sign is None:
            continue
        pieces += [text[at : found.start()], sign]
        starts += [np.arange(at, found.start() + 1)]
        ends += [np.arange(at + 1, found.start() + 1), [found.end()]]
        at = found.end()
    if not pieces:
        return text, None, None
    rest = np.arange(at, len(text))
    return (
        "".join((*pieces, text[at:])),
        np.concatenate([*starts, rest]).astype(np.int64),
        np.concatenate([*ends, rest + 1]).astype(np.int64),
    )


def _sign(code: str) -> str | None:
    """The one character that an entity or a percent code stands for, if it is one that can be searched."""
    sign = html.unescape(code) if code[0] == "&" else chr(int(code[1:], 16))
    if code[0] == "%" and not (sign.isalnum() or sign in "@+.:/_-"):
        return None  # a percent sign before two digits, more likely than a coded bracket
    return sign if len(sign) == 1 and not "\ud800" <= sign <= "\udfff" else None


def _folded(character: str) -> str:
    if character in _LINES:
        return "\n"
    if character in _FILLERS:
        return ""
    if character == "，":
        return character  # between clauses; an ASCII comma stands between digits too
    category = unicodedata.category(character)
    if category in ("Cf", "Me") or (category == "Cc" and character not in "\t\v\f\x1c\x1d\x1e\x1f"):
        return ""
    if category in ("Zs", "Cc"):
        return " "
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return ""
    return "".join(map(_plain, unicodedata.normalize("NFKC", character)))


def _plain(character: str) -> str:
    if character in _DASHES:
        return "-"
    if character in _DOTS:
        return "."
    digit = unicodedata.decimal(character, None)
    return character.translate(_LOOKALIKES) if digit is None else str(digit)


def _spelled(text: str, *, numerals: bool) -> str:
    """Chinese numerals, and letters that look like digits, as digits inside of long runs; of the same length."""
    if numerals and not text.isascii():
        text = _replaced(text, _SPELLED, NUMERALS, lambda run, after: True)
    return _replaced(text, _DISGUISED, _DIGIT_LOOKALIKES, _is_disguised)


def _replaced(text: str, pattern: Any, table: dict[int, int], accepts: Any) -> str:
    pieces, at = [], 0
    for found in pattern.finditer(text):
        start, end = found.span(1)
        run = found.group(1)
        if accepts(run, text[end : end + 1]):
            pieces += [text[at:start], run.translate(table)]
            at = end
    return "".join((*pieces, text[at:])) if pieces else text


def _is_disguised(run: str, after: str) -> bool:
    """Enough of the signs are digits, and no further letter or digit follows."""
    digits = sum(map(str.isdigit, run))
    if digits == len(run) or (after.isascii() and after.isalnum()):
        return False
    return digits >= LEAST_DIGITS * sum(not sign.isspace() and sign not in ".-" for sign in run)
