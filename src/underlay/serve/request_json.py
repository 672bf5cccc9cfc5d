"""The JSON of a request, without what parsers disagree on; a fault is told with its place, never with its value."""

import asyncio
import json
import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from underlay.serve.refusals import Refusal

DEPTH = 32
NUMBER = 64
"""Characters of a number: a double needs 25, and reading thousands of digits costs time."""

AT_ONCE = 1 << 16
"""Bytes that are read where requests are served: some milliseconds at worst."""

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Strings whole, so that a bracket within one is none; an open one to the end, so that the time stays linear."""

_NO_CHARACTER = re.compile(
    "[\x00\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
_PLAIN = re.compile(r"[A-Za-z0-9_. -]{1,64}", re.ASCII)


def parse(data: bytes) -> Any:
    """The value of a body.

    Raises:
        Refusal: `not_utf8`, `json_syntax`, `json_too_deep`, `duplicate_key`, `number_too_long`, `non_finite`,
            `invalid_text`.

    >>> parse(b'{"rows": [{"text": "good"}]}')
    {'rows': [{'text': 'good'}]}
    """
    if data.startswith(b"\xef\xbb\xbf") or b"\x00" in data:  # UTF-16 without a mark has them, JSON never
        raise Refusal("not_utf8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("not_utf8", offset=error.start) from None
    _check_depth(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_constant, parse_float=_float, parse_int=_int
        )
    except json.JSONDecodeError as error:
        raise Refusal("json_syntax", offset=error.pos) from None
    try:
        _check(value)
    except _Fault as fault:
        raise Refusal(fault.code, field=pointer(fault.path[::-1])) from None
    return value


def pointer(path: Sequence[str | int]) -> str:
    """JSON pointer to a place, which ends before the first key that is no plain short name: it came from outside.

    >>> pointer(["rows", 3, "text"]), pointer(["rows", "<script>", "text"])
    ('/rows/3/text', '/rows')
    """
    said = ""
    for step in path:
        if isinstance(step, str) and not _PLAIN.fullmatch(step):
            break
        said += f"/{step}"
    return said


async def parse_apart(data: bytes) -> Any:
    """`parse`, of a large body in a thread: others are answered meanwhile.

    Raises:
        Refusal: As `parse`.
    """
    return parse(data) if len(data) <= AT_ONCE else await asyncio.to_thread(parse, data)


def check_object(value: Any, known: Collection[str], needed: Sequence[str], place: str = "") -> None:
    """That a value is an object of these fields.

    Args:
        value: Parsed.
        known: Fields it may have.
        needed: Those it must have.
        place: JSON pointer to it.

    Raises:
        Refusal: `wrong_type`, `unknown_field`, `missing_field`.
    """
    if not isinstance(value, dict):
        raise Refusal("wrong_type", field=place, expected="object")
    if not value.keys() <= set(known):
        raise Refusal("unknown_field", field=place, expected=list(known))
    if missing := [name for name in needed if name not in value]:
        raise Refusal("missing_field", field=f"{place}/{missing[0]}", expected=list(needed))


class _Fault(Exception):
    """What is wrong, and the path to it, the last step first."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.path: list[str | int] = []


def _check(value: Any) -> None:
    """Every string and number of a value that is at most `DEPTH` deep."""
    if isinstance(value, str):
        if _NO_CHARACTER.search(value):
            raise _Fault("invalid_text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Fault("non_finite")
    elif isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            try:
                if isinstance(step, str):
                    _check(step)
                _check(item)
            except _Fault as fault:
                fault.path.append(step)
                raise


def _check_depth(text: str) -> None:
    """Before the parser, which descends by recursion."""
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket[0], 0)
        if depth > DEPTH:
            raise Refusal("json_too_deep")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refusal("duplicate_key")
    return found


def _constant(_: str) -> float:
    """NaN for all of them: where it stands is found afterwards."""
    return math.nan


def _float(text: str) -> float:
    if len(text) > NUMBER:
        raise Refusal("number_too_long")
    return float(text)


def _int(text: str) -> int:
    if len(text) > NUMBER:
        raise Refusal("number_too_long")
    return int(text)
