"""How the weight of a term changes over training."""

from collections.abc import Callable

from underlay.core import Registry, UsageError
from underlay.objectives.arguments import check_not_negative, is_number
from underlay.objectives.term import Schedule

SCHEDULES: Registry[Callable[..., Schedule]] = Registry("weight schedule")
"""What a recipe may name as `weight: {name: linear, ...}`."""


@SCHEDULES("constant.v1")
def constant(value: float = 1.0) -> Schedule:
    """The same weight at every step.

    >>> constant(0.5)(1000)
    0.5
    """
    check_not_negative("value", value)
    return lambda _: float(value)


@SCHEDULES("linear.v1")
def linear(end: float = 1.0, *, steps: int, start: float = 0.0, after: int = 0) -> Schedule:
    """A straight line from `start` to `end`, then `end`.

    Args:
        end: Weight once the ramp is over.
        steps: Optimiser steps the ramp takes; >= 1.
        start: Weight before the ramp.
        after: Optimiser steps before the ramp begins; >= 0.

    >>> ramp = linear(1.0, steps=4, after=2)
    >>> [ramp(number) for number in (0, 2, 4, 6, 100)]
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    check_not_negative("end", end)
    check_not_negative("start", start)
    if not (is_number(steps) and steps >= 1):
        raise UsageError(f"steps is {steps!r}", "give the number of optimiser steps of the ramp, >= 1")
    check_not_negative("after", after)

    def weight(number: int) -> float:
        share = min(max((number - after) / steps, 0.0), 1.0)
        return start + (end - start) * share

    return weight
