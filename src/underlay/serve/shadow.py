"""A version that is asked what others answered: its answers are compared and never told, its faults are counted."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from underlay.serve.limits import Limits
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, log_failure
from underlay.serve.version import Version, stays
from underlay.serve.version_metrics import AGREED, DIFFERED, DROPPED, FAILED, VersionMetrics

NUMBERS = 1e-3
"""Relative distance within which two numbers are the same answer."""


class Shadows:
    """Asks shadows once a request has its answer; has a thread of its own for reading, so that nobody waits behind it.

    Args:
        limits: Of the server.
        metrics: Where outcomes are counted.
    """

    def __init__(self, limits: Limits, metrics: VersionMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._asking: set[asyncio.Task[None]] = set()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    def ask(self, version: Version, rows: Mapping[str, Sequence[Any]], told: Sequence[Answer]) -> None:
        """Ask a version what was answered already; returns at once.

        Args:
            version: The shadow.
            rows: Raw values by column.
            told: What the client got, a row each.
        """
        if len(self._asking) >= self._limits.shadow_requests or not version.ready:
            self._count(version, DROPPED, len(told))
            return
        task = asyncio.get_running_loop().create_task(self._compare(version, rows, told))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def stop(self) -> None:
        """Ask nothing more."""
        for task in self._asking:
            task.cancel()
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def _compare(self, version: Version, rows: Mapping[str, Sequence[Any]], told: Sequence[Answer]) -> None:
        deadline = time.monotonic() + self._limits.request_seconds
        with version.held():
            try:
                found = await version.ask(
                    rows, receive=stays, deadline=deadline, place=lambda number: "", readers=self._reader
                )
            except Refusal as refusal:
                self._count(version, DROPPED if refusal.code in ("overloaded", "draining") else FAILED, len(told))
            except Exception as error:  # noqa: BLE001 - whatever a shadow does, the client has had its answer
                log_failure("shadow_failed", error)
                self._count(version, FAILED, len(told))
            else:
                agreed = sum(same(one, other) for one, other in zip(told, found, strict=True))
                self._count(version, AGREED, agreed)
                self._count(version, DIFFERED, len(told) - agreed)

    def _count(self, version: Version, outcome: str, rows: int) -> None:
        if rows:
            self._metrics.shadowed.labels(version.served.name, version.label, outcome).inc(rows)


def same(one: Answer, other: Answer) -> bool:
    """Whether two versions decide alike on a row, in every target.

    Args:
        one: Of the first.
        other: Of the second.
    """
    return one.keys() == other.keys() and all(_same(one[name].prediction, other[name].prediction) for name in one)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NUMBERS, abs_tol=1e-9)
    return bool(one == other)
