"""Make the runs that are missing, one line each; it can be killed at any moment.

Sweeps of all named tasks come first, then their final runs, seed by seed. Two processes share the work by tasks, one
core each: `python -m studies.language_as_foundation.run series` and `... run image`.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.datasets import DataAbsent
from benchmarks.record import Results, read_lines

from studies.language_as_foundation import native, training
from studies.language_as_foundation.arms import ARMS
from studies.language_as_foundation.cells import FINAL, SWEEP, Cell, Record, cells, missing
from studies.language_as_foundation.tasks import STORES, TASKS, Data, Task
from underlay.core import Interrupted, RunLocked
from underlay.train import run_lock

HERE = Path(__file__).parent / "results"
BENCHMARK = "language-as-foundation"

EXPECTED: Mapping[str, float] = {"frozen": 125.0, "full": 190.0, "no-trunk": 8.0, "native": 60.0}
"""Seconds of a run on one idle core of an Intel Xeon with AMX, before any is known: means over image and series."""


def records_of(task: Task, folder: Path = HERE) -> list[Record]:
    """What is in."""
    return read_lines(folder / f"{task.name}.jsonl")


def make(cell: Cell, data: Data) -> dict[str, Any]:
    """The figures of one run."""
    if cell.arm not in ARMS:
        return native.run(cell.arm, data, size=cell.size, seed=cell.seed)
    assert cell.rate is not None  # `ready`
    final = cell.stage == FINAL
    return training.run(ARMS[cell.arm], data, size=cell.size, rate=cell.rate, seed=cell.seed, test=final)


def work(
    task: Task,
    data: Data,
    *,
    stage: str,
    folder: Path = HERE,
    arms: Sequence[str] = (),
    fits: Callable[[float], bool] = lambda seconds: True,
    tell: Callable[[str], None] = print,
) -> bool:
    """Make what is missing of one stage; False where time did not suffice.

    Args:
        task: Which.
        data: Its rows.
        stage: `sweep` or `final`.
        folder: Of the result files.
        arms: Only these; all where none is named.
        fits: Whether a run of so many seconds may begin.
        tell: Told of every run.
    """
    results = Results(task.name, folder)
    while True:
        records = records_of(task, folder)
        left = [cell for cell in missing(task, records, [stage]) if cell.ready and (not arms or cell.arm in arms)]
        if not left:
            return True
        cell = left[0]
        if not fits(expected(cell, records)):
            return False
        values = make(cell, data)
        results.append(BENCHMARK, cell.key(), values)
        tell(f"{describe(cell)}: {shown(values)}; {len(left) - 1} left of this stage")


def expected(cell: Cell, records: Sequence[Record], clock: str = "seconds") -> float:
    """Seconds of a run: the mean of those of its kind, or what was measured beforehand.

    Args:
        cell: Which.
        records: What is in.
        clock: `seconds` on the wall, or `cpu_seconds`.
    """
    alike = [
        record["values"][clock]
        for record in records
        if (record["cell"]["arm"], record["cell"]["size"]) == (cell.arm, cell.size)
    ]
    kind = next(kind for kind in EXPECTED if kind in cell.arm)
    return mean(alike) if alike else EXPECTED[kind]


def listing(task: Task, records: Sequence[Record]) -> str:
    """How many runs are in and left, and how long these will take."""
    lines = []
    for stage in (SWEEP, FINAL):
        left = missing(task, records, [stage])
        done = len(list(cells(task, records, [stage]))) - len(left)
        hours = sum(expected(cell, records, "cpu_seconds") for cell in left) / 3600
        lines.append(
            f"{task.name:<7}{stage:<6} {done:>4} in, {len(left):>4} left, about {hours:.1f} h of one idle core"
        )
    return "\n".join(lines)


def describe(cell: Cell) -> str:
    """One run, for people."""
    rate = "" if cell.rate is None else f" at {cell.rate:g}"
    return f"{cell.task} {cell.stage} {cell.arm} {cell.size} rows{rate} seed {cell.seed}"


def shown(values: Mapping[str, Any]) -> str:
    """The figures that matter, for people."""
    names = [name for name in ("validation_accuracy", "test_accuracy", "seconds") if name in values]
    return ", ".join(f"{name} {values[name]:.4g}" for name in names)


def main(words: list[str] | None = None) -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}; in this order")
    parser.add_argument("--minutes", type=float, help="begin no run that would end later")
    parser.add_argument("--stage", choices=[SWEEP, FINAL], help="only this")
    parser.add_argument("--arms", nargs="+", default=[], help="only these")
    parser.add_argument("--list", action="store_true", help="say what is left and stop")
    options = parser.parse_args(words)
    if unknown := [name for name in options.tasks if name not in TASKS]:
        parser.error(f"no task named {', '.join(unknown)}; there are {', '.join(TASKS)}")
    tasks = [TASKS[name] for name in options.tasks]
    if options.list:
        print("\n".join(listing(task, records_of(task)) for task in tasks))
        return
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    loaded = {task.name: Data(task) for task in tasks}
    for stage in [options.stage] if options.stage else [SWEEP, FINAL]:
        for task in tasks:
            try:
                with run_lock(STORES / f"lock-{task.name}"):
                    done = work(
                        task,
                        loaded[task.name],
                        stage=stage,
                        arms=options.arms,
                        fits=lambda seconds: end is None or time.monotonic() + seconds <= end,
                        tell=lambda line: print(line, flush=True),
                    )
            except (DataAbsent, RunLocked) as problem:
                print(f"{task.name}: skipped: {problem}", flush=True)
                continue
            except Interrupted as stopped:
                print("stopped by a signal; the run in progress will be made again", flush=True)
                raise SystemExit(stopped.exit_code) from None
            if not done:
                print("the time is up", flush=True)
                return


if __name__ == "__main__":
    main()
