"""JSON that is one sequence of bytes for one value, so that a digest of it can be compared.

Source: RFC 8785, JSON Canonicalization Scheme.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

LARGEST = 2**53 - 1
"""Whole numbers beyond it are not the same in every reader of JSON."""


def canonical(value: Any) -> str:
    """The only form of a value.

    Args:
        value: JSON data.

    Raises:
        ValueError: A number that is not finite, a whole one beyond 2^53, or something that JSON has not.

    >>> canonical({"b": 1.0, "a": [1e-7, "é", None]})
    '{"a":[1e-7,"é",null],"b":1}'
    """
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError("a whole number beyond 2^53")
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(one)}" for key, one in pairs) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(canonical, value)) + "]"
    raise ValueError(f"{type(value).__name__} is no JSON")


def _number(value: float) -> str:
    """As ECMAScript writes it: the shortest digits that give the number back, an exponent from 1e21 and to 1e-7."""
    if not math.isfinite(value):
        raise ValueError("a number that is not finite")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    minus = "-" if sign else ""
    if 0 < point <= 21:
        whole = text[:point].ljust(point, "0")
        return minus + whole + (f".{text[point:]}" if text[point:] else "")
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    rest = f".{text[1:]}" if text[1:] else ""
    return f"{minus}{text[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
