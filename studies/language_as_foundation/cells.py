"""Which runs there are, in which order, and which rate they are made at."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from statistics import mean
from typing import Any

from studies.language_as_foundation.arms import ARMS, NATIVE
from studies.language_as_foundation.tasks import Task
from studies.language_as_foundation.training import SETTINGS

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
BEYOND: Mapping[float, float] = {1e-4: 3e-5, 3e-3: 1e-2}
"""One step past an edge that wins."""

SWEEP_SEEDS = (100, 101)
"""None of the final ones."""

SEEDS = (0, 1, 2, 3, 4)
SWEEP, FINAL = "sweep", "final"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run.

    Args:
        task: Name.
        stage: `sweep` or `final`.
        arm: Name.
        size: Rows, those of validation included.
        seed: Of the run.
        rate: Peak learning rate; None for native arms, and for a final run whose rate is not chosen yet.
        settings: Digest of all else that decides the figures.
    """

    task: str
    stage: str
    arm: str
    size: int
    seed: int
    rate: float | None
    settings: str

    @property
    def ready(self) -> bool:
        """Whether it can be made."""
        return self.rate is not None or self.arm in NATIVE

    def key(self) -> dict[str, Any]:
        """As a result file keeps it."""
        return asdict(self)


def cells(task: Task, records: Sequence[Record], stages: Sequence[str] = (SWEEP, FINAL)) -> Iterator[Cell]:
    """Every run of a task that is known of by now, in the order in which they are made.

    Rates beyond an edge are known once the others are in; final runs wait for a rate (`rate` is None).

    Args:
        task: Which.
        records: What is in.
        stages: Which of the two.
    """
    settings = digest(task)
    if SWEEP in stages:
        for arm in ARMS:
            for rate in rates_of(task, arm, records):
                for seed in SWEEP_SEEDS:
                    yield Cell(task.name, SWEEP, arm, task.middle, seed, rate, settings)
    if FINAL in stages:
        chosen = {arm: chosen_rate(task, arm, records) for arm in ARMS}
        for seed in SEEDS:
            for size in task.sizes:
                for arm in (*ARMS, *NATIVE):
                    yield Cell(task.name, FINAL, arm, size, seed, chosen.get(arm), settings)


def missing(task: Task, records: Sequence[Record], stages: Sequence[str] = (SWEEP, FINAL)) -> list[Cell]:
    """Those of `cells` that are not in."""
    there = {_frozen(record["cell"]) for record in records}
    return [cell for cell in cells(task, records, stages) if _frozen(cell.key()) not in there]


def rates_of(task: Task, arm: str, records: Sequence[Record]) -> list[float]:
    """The rates of an arm's sweep: four, and one more where an edge of them wins."""
    swept = validation_by_rate(task, arm, records)
    if not all(rate in swept for rate in RATES):
        return list(RATES)
    best = max(RATES, key=lambda rate: swept[rate])
    return [*RATES, BEYOND[best]] if best in BEYOND else list(RATES)


def chosen_rate(task: Task, arm: str, records: Sequence[Record]) -> float | None:
    """The rate with the best mean validation accuracy, equal ones by the mean loss; None before the sweep is done."""
    swept = validation_by_rate(task, arm, records)
    asked = rates_of(task, arm, records)
    return max(asked, key=lambda rate: swept[rate]) if all(rate in swept for rate in asked) else None


def validation_by_rate(task: Task, arm: str, records: Sequence[Record]) -> dict[float, tuple[float, float]]:
    """Mean validation accuracy, and minus the mean loss, of every rate whose seeds are all in."""
    settings = digest(task)
    found: dict[float, dict[int, Record]] = {}
    for record in records:
        cell = record["cell"]
        if (cell["stage"], cell["arm"], cell["settings"]) == (SWEEP, arm, settings):
            found.setdefault(cell["rate"], {})[cell["seed"]] = record["values"]
    return {
        rate: (mean(one["validation_accuracy"] for one in seeds.values()), -mean(map(_loss, seeds.values())))
        for rate, seeds in found.items()
        if set(seeds) >= set(SWEEP_SEEDS)
    }


def digest(task: Task) -> str:
    """Changes with everything that decides a run besides its cell: another setting makes other cells."""
    known = {**asdict(SETTINGS), "options": dict(task.options), "steps": task.steps, "test_rows": task.test_rows}
    return sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]


def _loss(values: Record) -> float:
    return inf if values["validation_loss"] is None else float(values["validation_loss"])


def _frozen(cell: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(cell.items()))
