"""The body of `/predict` -> raw values by column, as a bundle takes them."""

import base64
import binascii
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from underlay.serve.limits import Limits
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import pointer

FIELDS = ("row", "rows", "scores", "id")
_ADDRESS = re.compile(r"(?!data:)[a-z][a-z0-9+.-]{1,20}:|[\\/]{2}", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """What one request asks.

    Args:
        rows: Raw values by column.
        count: Rows.
        scores: Whether the probability of every label is wanted.
        id: Given back as it came; None: there was none.
    """

    rows: Mapping[str, Sequence[Any]]
    count: int
    scores: bool = False
    id: str | int | None = None


def read_question(body: Any, columns: Sequence[str], *, files: Collection[str], limits: Limits) -> Question:
    """What a body asks.

    Args:
        body: Parsed.
        columns: That the model reads.
        files: Those of them that take files.
        limits: Of the server.

    Raises:
        Refusal: `wrong_type`, `unknown_field`, `missing_field`, `no_rows`, `too_many_items`, or as `read_value`.

    >>> read_question({"row": {"text": "good"}}, ["text"], files=(), limits=Limits()).rows
    {'text': ['good']}
    """
    if not isinstance(body, dict):
        raise Refusal("wrong_type", field="", expected="object")
    _check_fields(body, FIELDS, needed=(), path=())
    if ("rows" in body) == ("row" in body):
        raise Refusal("missing_field" if "rows" not in body else "unknown_field", field="", expected=["row or rows"])
    rows = body["rows"] if "rows" in body else [body["row"]]
    if not isinstance(rows, list):
        raise Refusal("wrong_type", field="/rows", expected="array")
    scores, identity = body.get("scores", False), body.get("id")
    if not isinstance(scores, bool):
        raise Refusal("wrong_type", field="/scores", expected="boolean")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise Refusal("wrong_type", field="/id", expected="string or integer")
    check_count(len(rows), limits)
    found: dict[str, list[Any]] = {column: [] for column in columns}
    for number, row in enumerate(rows):
        path = ("rows", number) if "rows" in body else ("row",)
        if not isinstance(row, dict):
            raise Refusal("wrong_type", field=pointer(path), expected="object")
        _check_fields(row, columns, needed=columns, path=path)
        for column in columns:
            try:
                found[column].append(read_value(row[column], file=column in files, limits=limits))
            except Refusal as refusal:
                raise refusal.within(pointer((*path, column))) from None
    return Question(found, len(rows), scores, identity)


def check_count(rows: int, limits: Limits) -> None:
    """Refuse no rows and too many.

    Raises:
        Refusal: `no_rows`, `too_many_items`.
    """
    if rows == 0:
        raise Refusal("no_rows", field="/rows")
    if rows > limits.items:
        raise Refusal("too_many_items", field="/rows", expected=f"at most {limits.items}")


def read_value(value: Any, *, file: bool, limits: Limits) -> Any:
    """One raw value: the bytes of a file, or what was sent.

    A column of files takes nothing but bytes, so that no string of a stranger is ever opened as a path.

    Args:
        value: JSON data.
        file: Whether the column takes files.
        limits: Of the server.

    Raises:
        Refusal: `wrong_type`, `url_not_allowed`, `not_base64`, `text_too_long`.

    >>> read_value("data:text/plain;base64,aGk=", file=True, limits=Limits())
    b'hi'
    """
    if not file:
        _check_texts(value, limits.text_characters)
        return value
    if not isinstance(value, str):
        raise Refusal("wrong_type", expected="string in base64")
    if _ADDRESS.match(value):
        raise Refusal("url_not_allowed")
    head, comma, body = value.partition(",")
    if comma and not (head[:5].lower() == "data:" and head[-7:].lower() == ";base64"):
        raise Refusal("not_base64")
    try:
        return base64.b64decode(body if comma else value, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("not_base64") from None


def _check_texts(value: Any, most: int) -> None:
    """Each string of a value, which may be a list of words or of events."""
    if isinstance(value, str):
        if len(value) > most:
            raise Refusal("text_too_long", expected=f"at most {most} characters")
    elif isinstance(value, dict):
        _check_texts(list(value), most)
        _check_texts(list(value.values()), most)
    elif isinstance(value, list):
        for item in value:
            if not isinstance(item, float | int):
                _check_texts(item, most)


def _check_fields(
    found: Mapping[str, Any], known: Sequence[str], *, needed: Sequence[str], path: Sequence[str | int]
) -> None:
    if not found.keys() <= set(known):
        raise Refusal("unknown_field", field=pointer(path), expected=list(known))
    if missing := [name for name in needed if name not in found]:
        raise Refusal("missing_field", field=pointer((*path, missing[0])), expected=list(needed))
