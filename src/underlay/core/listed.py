"""Cells that hold a list, however a file could write one down."""

import json
from collections.abc import Sequence
from typing import Any


def listed(cell: Any) -> list[Any] | None:
    """The items of a cell: of a list as they are, of a JSON list in a string, of a string between its spaces.

    None for what holds no list: a missing cell, a number, a mapping.

    >>> listed(["EU", "rejects"]), listed('["EU", "rejects"]'), listed("EU rejects"), listed(3.5)
    (['EU', 'rejects'], ['EU', 'rejects'], ['EU', 'rejects'], None)
    """
    if isinstance(cell, str):
        written = json_list(cell)
        return cell.split() if written is None else written
    if isinstance(cell, Sequence) and not isinstance(cell, bytes):
        return list(cell)
    tolist = getattr(cell, "tolist", None)  # an array
    items = tolist() if tolist is not None and getattr(cell, "ndim", 0) == 1 else None
    return items if isinstance(items, list) else None


def json_list(cell: str) -> list[Any] | None:
    """The items of a JSON list, None for any other text.

    >>> json_list('["EU"]'), json_list("[EU] rejects")
    (['EU'], None)
    """
    text = cell.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
