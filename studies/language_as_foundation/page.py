"""Write `README.md` and the pictures from the result files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.page import machines

from studies.language_as_foundation.arms import ARMS, NATIVE
from studies.language_as_foundation.cells import (
    FINAL,
    RATES,
    SEEDS,
    SWEEP,
    SWEEP_SEEDS,
    Record,
    cells,
    chosen_rate,
    missing,
    rates_of,
    validation_by_rate,
)
from studies.language_as_foundation.comparisons import (
    DIFFERENCES,
    INTERVALS,
    QUESTIONS,
    Accuracies,
    Interval,
    accuracies,
    level,
    paired,
    verdict,
)
from studies.language_as_foundation.picture import draw
from studies.language_as_foundation.run import HERE, records_of
from studies.language_as_foundation.tasks import TASKS, Task

PAGE = Path(__file__).parent / "README.md"
TITLES: Mapping[str, str] = {**{name: arm.title for name, arm in ARMS.items()}, **NATIVE}

HEAD = """# Does a trunk trained on language help with signals that are not language?

Written by `python -m studies.language_as_foundation.page` from the `.jsonl` files under `results`, one line a run. The
question, the arms and what counts as a result were fixed in [PLAN.md](PLAN.md) before the first run.

A result in either direction says something about these weights on these tasks. It says nothing directly about human
thought.
"""

REPEAT = """## How to repeat it

```
export UNDERLAY_DATA=FOLDER     # fashion_mnist, ucr_forda, free_spoken_digits as the benchmarks read them
python -m studies.language_as_foundation.run --list
OMP_NUM_THREADS=1 python -m studies.language_as_foundation.run series image --minutes 30
python -m studies.language_as_foundation.page
```

From the checkout's root, with the extras `train` and `bench` installed. A run that is there is not made again, so the
second command can be killed and repeated until nothing is left; two processes share the work if each is given tasks of
its own. Removing `results` starts over.
"""


def page(records: Mapping[str, Sequence[Record]], drawn: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        records: By task.
        drawn: Task -> its picture's file; of those that have one.
    """
    tasks = [TASKS[name] for name in records]
    parts = [HEAD, standing(tasks, records), findings(tasks, records)]
    parts += [section(task, records[task.name], drawn.get(task.name)) for task in tasks]
    every = [record for lines in records.values() for record in lines]
    parts.append(REPEAT)
    if every:
        parts.append(f"## Machines\n\n{machines(every)}\n")
    return "\n".join(parts)


def standing(tasks: Sequence[Task], records: Mapping[str, Sequence[Record]]) -> str:
    """How many runs are in."""
    lines = [
        "## Where it stands",
        "",
        "| task | sweep, runs in | final, runs in | still missing |",
        "|---|---:|---:|---:|",
    ]
    left = 0
    for task in tasks:
        counts, absent = [], 0
        for stage in (SWEEP, FINAL):
            total, gone = (len(list(find(task, records[task.name], [stage]))) for find in (cells, missing))
            counts.append(f"{total - gone} of {total}")
            absent += gone
        lines.append(f"| {task.name} | {' | '.join(counts)} | {absent} |")
        left += absent
    rule = (
        "Nothing is concluded from a set that is not complete: a mean or a difference stands here only where all five "
        "seeds are in, a finding only where all three sizes are."
    )
    state = f"{left} runs are still missing. {rule}" if left else "All runs are in."
    later = "Next items of events, the fourth task of the plan, are not reached: the study has no such task yet."
    return "\n".join([*lines, "", state, "", later, ""])


def findings(tasks: Sequence[Task], records: Mapping[str, Sequence[Record]]) -> str:
    """What the plan's rule gives, question by question."""
    lines = ["## What was found", ""]
    for number, question in QUESTIONS.items():
        lines.append(f"{number}. {question}")
        for task in tasks:
            found = accuracies(task, records[task.name])
            for one in (difference for difference in DIFFERENCES if difference.question == number):
                said = verdict(task.sizes, [paired(found, one, size) for size in task.sizes])
                if said != "runs are missing":
                    lines.append(f"   - {task.name}, {TITLES[one.plus]} minus {TITLES[one.minus]}: {said}.")
        if lines[-1].startswith(f"{number}."):
            lines.append("   - Nothing yet: no difference has all its runs.")
    rule = (
        "A difference is found where its 95 % interval over five seeds excludes 0 at all three sizes. With "
        f"{INTERVALS} intervals a task, one or two exclude 0 by chance where nothing differs."
    )
    return "\n".join([*lines, "", rule, ""])


def section(task: Task, records: Sequence[Record], drawn: str | None) -> str:
    """One task: accuracies, differences, rates."""
    if not records:
        return f"## {task.name}\n\nNo run is in.\n"
    found = accuracies(task, records)
    sizes = " | ".join(f"{size:,} rows" for size in task.sizes)
    rule = "---:|" * len(task.sizes)
    lines = [f"## {task.name}", ""]
    if drawn is not None:
        lines += [f"![Test accuracy by arm and rows]({drawn})", ""]
    lines += [f"Test accuracy in %, mean over {len(SEEDS)} seeds ± half of the 95 % t-interval:", ""]
    lines += [f"| arm | {sizes} |", f"|---|{rule}"]
    lines += [f"| {TITLES[arm]} | {' | '.join(_level(found, arm, size) for size in task.sizes)} |" for arm in TITLES]
    lines += ["", f"Differences in points, paired by seed; every interval is one of {INTERVALS} of this task:", ""]
    lines += [f"| question | difference | {sizes} | |", f"|---:|---|{rule}---|"]
    for one in DIFFERENCES:
        intervals = [paired(found, one, size) for size in task.sizes]
        shown = " | ".join(_signed(value) for value in intervals)
        name = f"{TITLES[one.plus]} − {TITLES[one.minus]}"
        lines.append(f"| {one.question} | {name} | {shown} | {verdict(task.sizes, intervals)} |")
    return "\n".join([*lines, "", *rates(task, records), ""])


def rates(task: Task, records: Sequence[Record]) -> list[str]:
    """The sweep: validation accuracy by rate, and what was chosen."""
    columns = [*RATES]
    for arm in ARMS:
        columns += [rate for rate in rates_of(task, arm, records) if rate not in columns]
    columns.sort()
    about = (
        f"Validation accuracy in % by peak learning rate at {task.middle:,} rows, mean of {len(SWEEP_SEEDS)} seeds; "
        "the chosen rate in bold. An edge of the first four that wins is extended once; a bold rate may still be one."
    )
    header = f"| arm | {' | '.join(f'{rate:g}' for rate in columns)} |"
    lines = [about, "", header, f"|---|{'---:|' * len(columns)}"]
    for arm in ARMS:
        swept, chosen = validation_by_rate(task, arm, records), chosen_rate(task, arm, records)
        shown = [f"{100 * swept[rate][0]:.1f}" if rate in swept else "" for rate in columns]
        cell = [f"**{one}**" if rate == chosen else one for rate, one in zip(columns, shown, strict=True)]
        lines.append(f"| {TITLES[arm]} | {' | '.join(cell)} |")
    lost = sum(bool(record["values"].get("diverged")) for record in records)
    said = f"In {lost} of {len(records)} runs the loss stopped being finite; the best epoch before that counts."
    return [*lines, "", *([said] if lost else [])]


def _level(found: Accuracies, arm: str, size: int) -> str:
    known = level(found, arm, size)
    if known is not None:
        return f"{100 * known.middle:.1f} ± {100 * known.half:.1f}"
    count = len(found.get((arm, size), {}))
    return f"({count} of {len(SEEDS)} seeds)" if count else ""


def _signed(value: Interval | None) -> str:
    return "" if value is None else f"{100 * value.middle:+.1f} ± {100 * value.half:.1f}"


def picture_of(task: Task, records: Sequence[Record]) -> str | None:
    """The task's curves; None where no point is complete."""
    found = accuracies(task, records)
    known = {
        arm: [(size, one) for size in task.sizes if (one := level(found, arm, size)) is not None] for arm in TITLES
    }
    levels = {arm: points for arm, points in known.items() if points}
    return draw(task.name, task.sizes, levels, TITLES) if levels else None


def main() -> None:
    """Write the page and the pictures."""
    records = {name: records_of(task) for name, task in TASKS.items()}
    drawn: dict[str, str] = {}
    for name, task in TASKS.items():
        if (picture := picture_of(task, records[name])) is not None:
            HERE.mkdir(exist_ok=True)
            (HERE / f"{name}.svg").write_text(picture, encoding="utf-8")
            drawn[name] = f"results/{name}.svg"
    PAGE.write_text(page(records, drawn), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
