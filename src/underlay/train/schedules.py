"""The learning rate at each step, as a pure function: nothing to store, nothing to resume."""

import math
from collections.abc import Callable

from underlay.core import Registry

Schedule = Callable[[float], float]
"""Progress through the run, 0 to 1 -> factor on the learning rate, 0 to 1."""

SCHEDULES: Registry[Callable[[float], Schedule]] = Registry("schedule")


@SCHEDULES("constant.v1")
def constant(warmup: float) -> Schedule:
    """Rise over the first `warmup` share of the run, then stay."""
    return lambda progress: min(1.0, progress / warmup) if warmup > 0 else 1.0


@SCHEDULES("linear.v1")
def linear(warmup: float) -> Schedule:
    """Rise over the first `warmup` share, then fall in a line to 0.

    >>> linear(0.5)(0.25), linear(0.5)(0.75)
    (0.5, 0.5)
    """
    return _after(warmup, lambda rest: 1.0 - rest)


@SCHEDULES("cosine.v1")
def cosine(warmup: float) -> Schedule:
    """Rise over the first `warmup` share, then fall along half a cosine to 0.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5 without restarts.
    """
    return _after(warmup, lambda rest: 0.5 * (1.0 + math.cos(math.pi * rest)))


@SCHEDULES("one-cycle.v1")
def one_cycle(warmup: float) -> Schedule:
    """Rise from 1/25 along half a cosine, then fall along another to 1/10,000 of the start.

    Source: Smith and Topin, Super-Convergence, 2018; the shape is that of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    first, last = 1.0 / 25.0, 1.0 / 25.0 / 1e4

    def factor(progress: float) -> float:
        if progress < warmup:
            return _cosine_between(first, 1.0, progress / warmup)
        return _cosine_between(1.0, last, (progress - warmup) / max(1e-12, 1.0 - warmup))

    return factor


def _cosine_between(start: float, stop: float, share: float) -> float:
    return stop + (start - stop) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))


def _after(warmup: float, fall: Callable[[float], float]) -> Schedule:
    def factor(progress: float) -> float:
        if progress < warmup:
            return progress / warmup
        return fall(min(1.0, (progress - warmup) / max(1e-12, 1.0 - warmup)))

    return factor
