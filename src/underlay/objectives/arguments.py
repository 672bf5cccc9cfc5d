"""Checks at the door of a loss term: the value and what is possible."""

import math
from collections.abc import Sequence

from underlay.core import UsageError


def check_fraction(name: str, value: float) -> None:
    """Accept 0 <= value < 1.

    Raises:
        UsageError: It is something else.
    """
    if not (is_number(value) and 0.0 <= value < 1.0):
        raise UsageError(f"{name} is {value!r}", "give a number from 0 to below 1")


def check_not_negative(name: str, value: float) -> None:
    """Accept a finite number >= 0.

    Raises:
        UsageError: It is something else.
    """
    if not (is_number(value) and value >= 0.0):
        raise UsageError(f"{name} is {value!r}", "give a finite number >= 0")


def check_class_weights(name: str, values: object) -> None:
    """Accept None, or finite numbers >= 0 that are not all 0.

    Raises:
        UsageError: They are something else.
    """
    if values is None:
        return
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"{name} is {values!r}", "give one number a class, in label order")
    for position, value in enumerate(values):
        check_not_negative(f"{name}[{position}]", value)
    if not any(values):
        raise UsageError(f"{name} is {list(values)!r}", "at least one must be above 0")


def is_number(value: object) -> bool:
    """Whether it is a finite int or float; True and False are not numbers here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
