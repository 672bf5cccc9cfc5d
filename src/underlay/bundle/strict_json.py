"""JSON without the things parsers disagree on: double keys, NaN, half characters, bottomless nesting."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from underlay.core import BundleRefused

DEPTH = 32
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""Strings whole, so that a bracket within one is none; an open one to the end, so that the time stays linear."""


def parse(data: bytes, name: str) -> Any:
    """The value of a JSON file.

    Args:
        data: The file.
        name: For the message.

    Raises:
        BundleRefused: `json`: not UTF-8, not JSON, double keys, NaN or infinity, nested too deep.

    >>> parse(b'{"a": 1}', "config.json")
    {'a': 1}
    """
    try:
        text = data.decode("utf-8")
        _check_depth(text, name)
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise BundleRefused(f"{name} is not strict JSON: {error}", "restore the bundle", code="json") from error


def dump(value: Any) -> bytes:
    """JSON of plain data; NaN and infinite figures, which JSON does not have, become null.

    >>> dump({"a": float("nan")})
    b'{\\n "a": null\\n}'
    """
    return json.dumps(_plain(value), ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8", "strict")


def dump_line(value: Any) -> bytes:
    """JSON of plain data on one line, with its end."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False).encode("utf-8", "strict") + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _check_depth(text: str, name: str) -> None:
    """Before the parser, which descends by recursion."""
    depth = 0
    for bracket in _BRACKET.findall(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket, 0)
        if depth > DEPTH:
            raise ValueError(f"nested deeper than {DEPTH} in {name}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r:.80} stands twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number
