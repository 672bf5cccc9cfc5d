"""One value of many: what reading it gave, or why it could not be used."""

from collections.abc import Callable
from typing import Any, TypeVar

from underlay.core.errors import RowError
from underlay.core.protocols import RowProblem

T = TypeVar("T")


def attempt(read: Callable[[Any], T], value: Any) -> T | RowProblem:
    """What `read` gives, or the problem of the row where it raises a `RowError`.

    >>> attempt(len, "abc")
    3
    """
    try:
        return read(value)
    except RowError as error:
        return RowProblem(error.code, str(error))
