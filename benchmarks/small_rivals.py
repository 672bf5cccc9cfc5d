"""P13 on four tasks, three seeds, against who else makes small models fast on a CPU, in the same run.

`fit` (slow; any machine) fits each bundle once, exports it and writes the same weights out for the rivals, all of which
stays under `build/`. `race` (minutes; a quiet machine) lets every arm answer the test rows, each in a process of its
own and in turns, so that what else the machine does hits all. A row's whole way is timed: raw value to label, the
tokenizer included. Without a command both run.

Rivals on text run the same weights: the pipeline of transformers, ONNX Runtime, OpenVINO in fp32 and by NNCF in int8,
CTranslate2 in both; and a model2vec student of the same trunk, which is another, smaller model. Nobody else reads
pictures or series into our networks: there the rivals are other runtimes under our graph, behind our modality.

What is lost is measured once on the test rows, the same rows drawn for both.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks import rival_environment
from benchmarks.command import CommandFailed, fit, recipe_digest, recipe_file
from benchmarks.datasets import WORK, Cut, DataAbsent, banking77, fashion_mnist, sample, sst2
from benchmarks.record import ROOT, Results
from benchmarks.rival_arms import FILES, OURS, arms
from benchmarks.rival_preparation import FOR_OTHER, FOR_TEXT
from benchmarks.series import cut as series_cut

RESULTS = Results("small_rivals")
FOLDER = WORK / "small_rivals"
SEEDS = (0, 1, 2)
DRAWS = 2_000
"""Of test rows, for the interval of what is lost."""
SMALL = "ours, int8 static"
PLAIN = ("ours, PyTorch fp32", "ours, ONNX fp32")


@dataclass(frozen=True)
class Task:
    """One row of the race.

    Args:
        cut: Gives its rows.
        recipe: File under `recipes/`.
        overrides: Of the recipe: a trunk to be raced that is not the default.
        batch: Rows that are timed together.
    """

    cut: Callable[[], Cut]
    recipe: str
    overrides: tuple[str, ...] = ()
    batch: int = 1_000


TASKS: Mapping[str, Task] = {
    "P13-sst2": Task(sst2, "sst2"),
    "P13-banking77": Task(banking77, "banking77"),
    "P13-fashion": Task(fashion_mnist, "fashion_mnist", batch=500),
    "P13-ecg5000": Task(partial(series_cut, "ECG5000"), "series", ("model.trunk=inception",)),
}


def cell(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """What marks a measurement; fewer rows are no claim."""
    task = TASKS[name]
    limits = {key: getattr(options, key) for key in ("rows", "test_rows", "set") if getattr(options, key)}
    overrides = [*task.overrides, *options.set]
    found = {"seed": seed, "recipe": recipe_digest(recipe_file(task.recipe), overrides)}
    return {**found, **({"development": limits} if limits else {})}


def folder_of(name: str, seed: int, options: argparse.Namespace) -> Path:
    """Where its bundles stand; another recipe, or fewer rows, is another folder."""
    where = cell(name, seed, options)
    limits = "".join(f"-{key}-{value}" for key, value in where.get("development", {}).items() if key != "set")
    return FOLDER / f"{name}-{seed}-{where['recipe']}{limits}"


def prepare(name: str, seed: int, options: argparse.Namespace) -> Path:
    """Fit, export and write out what is not there yet; what failed is written down with its reason.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the set.
        CommandFailed: Our own part failed.
    """
    task, folder = TASKS[name], folder_of(name, seed, options)
    done = folder / "prepared.json"
    if done.exists() and not options.again:
        return folder
    cut = task.cut()
    train_rows, test_rows = sample(cut.train, options.rows, seed), sample(cut.test, options.test_rows, 0)
    train, test = Cut(train_rows, test_rows, column=cut.column).write(folder)
    python = rival_environment.environment()
    overrides = [*task.overrides, *options.set]
    inputs = {cut.column: cut.column}
    if options.again or not (folder / "bundle" / "manifest.json").exists():
        recipe, out = recipe_file(task.recipe), folder / "bundle"
        fit(train, test, recipe=recipe, out=out, seed=seed, overrides=overrides, inputs=inputs)
        shutil.rmtree(folder / "bundle.run", ignore_errors=True)
    text = cut.column == "text"
    export(folder, "fp32")
    # The few validation rows of a development run would call one other answer many points.
    int8 = ("--int8", "--data", str(train), "--max-drop", "100" if options.rows else "0.5")
    export(folder, "static", *int8, "--static")
    if text:
        export(folder, "dynamic", *int8)
    failed: dict[str, str] = {}
    if text:
        subprocess.run([sys.executable, "-m", "benchmarks.small_rivals", "write", str(folder)], check=True, cwd=ROOT)
    else:
        export(folder, "graph.onnx")
    for wanted in FOR_TEXT if text else FOR_OTHER:
        ended = subprocess.run(
            [python, "-m", "benchmarks.rival_preparation", str(folder), wanted],
            check=False, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        if ended.returncode:
            failed[wanted] = ended.stderr.strip().splitlines()[-1][:300] if ended.stderr.strip() else "it said nothing"
        print(f"{name} seed {seed}: {wanted} {'failed: ' + failed[wanted] if wanted in failed else 'made'}", flush=True)
    done.write_text(json.dumps({"failed": failed, "rivals": rival_environment.versions(python)}), encoding="utf-8")
    return folder


def export(folder: Path, out: str, *words: str) -> None:
    """`underlay export` of the bundle of a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "underlay", "export", str(folder / "bundle"), "--out", str(folder / out), "--force",
         "--quiet", *words],
        check=False, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise CommandFailed(
            f"underlay export --out {out} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}"
        )


def write_out(folder: Path) -> None:
    """The same weights for the rivals."""
    from benchmarks.rival_checkpoint import write_checkpoint, write_plain_onnx
    from underlay.bundle import open_bundle

    write_checkpoint(open_bundle(folder / "bundle"), folder / "transformers")
    write_plain_onnx(folder / "transformers", folder / "plain.onnx")


class Arm:
    """A process that holds one arm."""

    def __init__(self, python: Path, folder: Path, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.rival_arms", str(folder), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "true"},
        )  # fmt: skip
        self._read()

    def ask(self, what: str) -> Any:
        """One command and its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # libraries talk too
                return json.loads(line)
        assert self._process.stderr is not None
        raise CommandFailed(f"{self.name}: {self._process.stderr.read().strip()[-600:]}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def race(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Every arm on the test rows: what it answers, then how fast, in turns.

    Raises:
        CommandFailed: Nothing is prepared, or an arm of ours broke.
    """
    folder = folder_of(name, seed, options)
    if not (folder / "prepared.json").exists():
        raise CommandFailed(f"{name} seed {seed} is not prepared: run `python -m benchmarks.small_rivals fit` first")
    prepared = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    python = rival_environment.environment()
    table = pd.read_parquet(folder / "test.parquet")
    column = next(one for one in table.columns if one != "label")
    failed = dict(prepared["failed"])
    with ExitStack() as stack:
        running: dict[str, Arm] = {}
        for arm in arms(column):
            if size_of(folder, arm) is None:
                continue
            try:
                running[arm] = Arm(python, folder, arm)
            except CommandFailed as broken:
                if arm in OURS:
                    raise
                failed[arm] = str(broken)[-300:]
                continue
            stack.callback(running[arm].close)
        answers = {arm: one.ask("answers")["answers"] for arm, one in running.items()}
        batch = min(TASKS[name].batch, options.batch or TASKS[name].batch)
        times: dict[str, list[float]] = {arm: [] for arm in running}
        alone: dict[str, list[float]] = {arm: [] for arm in running}
        for _ in range(options.turns):
            for arm, one in running.items():
                times[arm].append(one.ask(f"batch {batch}")["seconds"])
                alone[arm] += one.ask(f"single {options.single}")["seconds"]
    truth = table.label.astype(str).to_numpy()
    found = {
        arm: {
            **right(np.array(answers[arm]) == truth),
            "agrees": float(np.mean(np.array(answers[arm]) == np.array(answers[PLAIN[0]]))),
            "rows_per_second": batch / float(np.median(times[arm])),
            "rows_per_second_spread": [batch / max(times[arm]), batch / min(times[arm])],
            "one_row_ms": float(np.median(alone[arm])) * 1e3,
            "megabytes": (size_of(folder, arm) or 0) / 1e6,
        }
        for arm in running
    }
    was, now = (np.array(answers[arm]) == truth for arm in (PLAIN[0], SMALL))
    return {**summary(found), **lost(was, now), "arms": found, "failed": failed, "rivals": prepared["rivals"],
            "rows": len(table), "batch": batch, "turns": options.turns}  # fmt: skip


def size_of(folder: Path, arm: str) -> int | None:
    """Bytes of what an arm needs; None where it is not there."""
    there = [folder / file for file in FILES[arm] if (folder / file).exists()]
    if not there:
        return None
    files = [one for path in there for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file()]
    return sum(one.stat().st_size for one in files)


def right(good: np.ndarray) -> dict[str, float]:
    """Accuracy and its 95 % interval.

    >>> {key: round(value, 3) for key, value in right(np.array([True, True, False, True])).items()}
    {'accuracy': 0.75, 'low': 0.301, 'high': 0.954}
    """
    interval = binomtest(int(good.sum()), len(good)).proportion_ci(method="wilson")
    return {"accuracy": float(good.mean()), "low": float(interval.low), "high": float(interval.high)}


def lost(was: np.ndarray, now: np.ndarray) -> dict[str, float]:
    """Points that the second lost, and the 95 % interval over draws of rows.

    >>> lost(np.array([True] * 4), np.array([True, True, True, False]))["lost"]
    25.0
    """
    gap = 100.0 * (was.astype(float) - now.astype(float))
    draws = np.random.default_rng(0).integers(len(gap), size=(DRAWS, len(gap)))
    low, high = np.percentile(gap[draws].mean(1), [2.5, 97.5])
    return {"lost": float(gap.mean()), "low": float(low), "high": float(high)}


def summary(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The gain over our own fp32, and over each rival, in rows a second; the size.

    >>> each = {"rows_per_second": 2.0, "megabytes": 1.0, "one_row_ms": 1.0}
    >>> summary({**dict.fromkeys((*PLAIN, "x"), each), SMALL: {**each, "rows_per_second": 6.0}})["gain"]
    3.0
    """
    rate = {arm: float(values["rows_per_second"]) for arm, values in found.items()}
    return {
        "gain": rate[SMALL] / max(rate[arm] for arm in PLAIN),
        "over": {arm: rate[SMALL] / rate[arm] for arm in rate if arm not in OURS},
        "megabytes": found[SMALL]["megabytes"],
        "one_row_ms": found[SMALL]["one_row_ms"],
    }


def measure(name: str, seed: int, options: argparse.Namespace) -> None:
    """What the command asks for, of one task and seed."""
    if options.command != "race":
        prepare(name, seed, options)
    where = cell(name, seed, options)
    if options.command == "fit" or (RESULTS.find(name, where) is not None and not options.again):
        return
    entry = RESULTS.append(name, where, race(name, seed, options))
    print(f"{name} seed {seed}:", flush=True)
    for arm, values in entry["values"]["arms"].items():
        print(f"  {arm:<22} {values['accuracy']:.4f}  {values['rows_per_second']:8.0f} rows/s  "
              f"{values['one_row_ms']:7.2f} ms  {values['megabytes']:6.1f} MB", flush=True)  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """`fit`, `race`, or both of what is missing."""
    given = list(sys.argv[1:] if words is None else words)
    if given[:1] == ["write"]:
        write_out(Path(given[1]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=["fit", "race", "both"], default="both")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--turns", type=int, default=5, help="of all arms")
    parser.add_argument("--single", type=int, default=40, help="rows alone, each turn")
    parser.add_argument("--batch", type=int, help="development: fewer rows together")
    parser.add_argument("--rows", type=int, help="development: so many training rows")
    parser.add_argument("--test-rows", type=int, help="development: so many test rows")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    parser.add_argument("--again", action="store_true", help="fit and measure what is there")
    options = parser.parse_args(given)
    for name in options.tasks:
        for seed in options.seeds:
            try:
                measure(name, seed, options)
            except DataAbsent as absent:
                print(f"{name}: skipped: {absent}", flush=True)
                break


if __name__ == "__main__":
    main()
