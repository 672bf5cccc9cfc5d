"""How fast a bundle answers, raw value to decision: one row, and many."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from underlay.bundle import Backend, Bundle

MANY = 1_000
"""Rows of the batch that is timed, where that does not take too long."""

FEW = 32
"""Rows that tell how many are timed."""

SINGLE = 10
"""Rows alone for each batch."""


@dataclass(frozen=True)
class Speed:
    """How fast one backend answers.

    Args:
        name: Of the backend.
        one_p50: Median of one row, ms.
        one_p99: 99th percentile of one row, ms.
        rows: Of the batch.
        rows_per_second: Of the batch; the best of the repetitions, since other work only slows it.
    """

    name: str
    one_p50: float
    one_p99: float
    rows: int
    rows_per_second: float

    @property
    def cost(self) -> float:
        """Smaller is better: a row alone and a row among many count alike."""
        return self.one_p50 / self.rows_per_second

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)


def measure(
    bundle: Bundle, backends: Mapping[str, Backend], rows: Sequence[Mapping[str, Any]], *, seconds: float
) -> list[Speed]:
    """Time each backend in turns, so that what else the machine does hits all.

    Args:
        bundle: What answers, but for the backend.
        backends: By name.
        rows: Raw values.
        seconds: About as long, for each backend.
    """
    return measure_bundles(
        {name: replace(bundle, backend=backend) for name, backend in backends.items()}, rows, seconds=seconds
    )


def measure_bundles(asked: Mapping[str, Bundle], rows: Sequence[Mapping[str, Any]], *, seconds: float) -> list[Speed]:
    """Time each bundle in turns, as `measure` does.

    Args:
        asked: By name; all read the same columns.
        rows: Raw values.
        seconds: About as long, for each.
    """
    few = _columns(rows, FEW)
    slowest = max(_timed(one, few) for one in asked.values() for _ in range(2))
    many = _columns(rows, int(np.clip(FEW * seconds / 4 / slowest, FEW, MANY)))
    single: dict[str, list[float]] = {name: [] for name in asked}
    batch: dict[str, list[float]] = {name: [] for name in asked}
    end, turn = time.perf_counter() + seconds * len(asked), 0
    while turn < 2 or time.perf_counter() < end:
        for name, one in asked.items():
            alone = (_columns(rows[(SINGLE * turn + i) % len(rows) :], 1) for i in range(SINGLE))
            single[name] += [_timed(one, columns) for columns in alone]
            batch[name].append(_timed(one, many))
        turn += 1
    count = len(next(iter(many.values())))
    return [
        Speed(
            name,
            float(np.percentile(single[name], 50)) * 1e3,
            float(np.percentile(single[name], 99)) * 1e3,
            count,
            count / min(batch[name]),
        )
        for name in asked
    ]


def _columns(rows: Sequence[Mapping[str, Any]], count: int) -> dict[str, list[Any]]:
    """`count` rows as columns, from the start again where they are fewer."""
    return {name: [rows[i % len(rows)][name] for i in range(count)] for name in rows[0]}


def _timed(bundle: Bundle, columns: Mapping[str, list[Any]]) -> float:
    started = time.perf_counter()
    bundle.answer(columns)
    return time.perf_counter() - started
