"""P22: `underlay fit` against the best scikit-learn model and a plain PyTorch loop, on the same files, in turn."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.command import CommandFailed, Fitted, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, Cut, DataAbsent, sample
from benchmarks.record import Results


@dataclass(frozen=True)
class Task:
    """One data set.

    Args:
        cut: Its rows.
        recipe: File under `recipes/`.
        peer: Arguments of the plain loop.
        rates: Learning rates of the plain loop, of which validation rows choose one; none: it is among the arguments.
        tried: Training rows of that choice.
    """

    cut: Callable[[], Cut]
    recipe: str
    peer: tuple[str, ...]
    rates: tuple[float, ...] = ()
    tried: int = 3_000


@dataclass(frozen=True)
class Comparison:
    """The three arms of one modality.

    Args:
        results: Where cells are kept.
        column: Of the inputs, and their modality.
        tasks: By row of the goals.
        peer: Module of the plain loop; it prints one JSON object.
        classical: Training and test rows -> figures of the best scikit-learn model, named `linear_...`.
        held_out: Sets validation rows aside in place of the test part, by seed.
        write: Saves training and test rows.
        more: Further figures of ours.
    """

    results: Results
    column: str
    tasks: Mapping[str, Task]
    peer: str
    classical: Callable[[pd.DataFrame, pd.DataFrame], dict[str, Any]]
    held_out: Callable[[Cut, int], Cut]
    write: Callable[[Cut, Path], tuple[Path, Path]] = Cut.write
    more: Callable[[Fitted], dict[str, Any]] = lambda fitted: {}

    def measure_cell(self, name: str, seed: int, options: argparse.Namespace) -> Mapping[str, Any]:
        """The arms on one seed; from the result file if they are there.

        Raises:
            DataAbsent: `UNDERLAY_DATA` does not hold the set.
        """
        task = self.tasks[name]
        recipe = recipe_file(task.recipe)
        words = (*task.peer, *options.peer)
        asked = [*options.set, *words, *map(str, task.rates)]
        cell = {"seed": seed, "recipe": recipe_digest(recipe, asked), **development(options)}
        known = self.results.find(name, cell)
        if known is not None and not options.again:
            return dict(known["values"])
        cut = task.cut()
        if options.on == "validation":
            cut = self.held_out(cut, seed)
        train_rows, test_rows = sample(cut.train, options.rows, seed), sample(cut.test, options.test_rows, 0)
        cut = Cut(train_rows, test_rows, column=self.column)
        swept = {rate: self.tried_rate(name, rate, words) for rate in task.rates if not options.peer}
        chosen = ("--learning-rate", str(max(swept, key=lambda rate: swept[rate]))) if swept else ()
        train, test = self.write(cut, WORK / name)
        out, inputs = WORK / f"{name}-bundle", {self.column: self.column}
        ours = fit(train, test, recipe=recipe, out=out, seed=seed, overrides=options.set, inputs=inputs)
        values = {
            "accuracy": ours.metrics["accuracy"]["value"],
            **{end: ours.metrics["accuracy"][end] for end in ("low", "high")},
            "seconds": ours.seconds,
            **self.more(ours),
            **run_peer(self.peer, train, test, words=(*words, *chosen), seed=seed),
            **self.classical(cut.train, cut.test),
            "train_rows": len(cut.train),
            "test_rows": len(cut.test),
            **({"peer_swept": {str(rate): accuracy for rate, accuracy in swept.items()}} if swept else {}),
        }
        values["gain"] = values["accuracy"] - max(values["linear_accuracy"], values["peer_accuracy"])
        values["times_faster"] = values["peer_seconds"] / values["seconds"]
        self.results.append(name, cell, values)
        remove(ours)
        return values

    def tried_rate(self, name: str, rate: float, words: tuple[str, ...]) -> float:
        """Accuracy of the plain loop on validation rows at one learning rate; from the drafts if it is there."""
        task = self.tasks[name]
        cell = {"seed": 0, "development": {"on": "validation", "rows": task.tried, "peer": [*words, str(rate)]}}
        known = self.results.find(f"{name}-peer", cell)
        if known is None:
            cut = self.held_out(task.cut(), 0)
            cut = Cut(sample(cut.train, task.tried, 0), sample(cut.test, task.tried // 3, 0), column=self.column)
            train, test = self.write(cut, WORK / f"{name}-peer")
            values = run_peer(self.peer, train, test, words=(*words, "--learning-rate", str(rate)), seed=0)
            known = self.results.append(f"{name}-peer", cell, values)
        return float(known["values"]["peer_accuracy"])

    def main(self, words: list[str] | None = None, *, about: str | None = None) -> None:
        """Measure the cells that are missing."""
        parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("names", nargs="*", default=list(self.tasks), help=f"of {', '.join(self.tasks)}")
        parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        parser.add_argument("--on", choices=["test", "validation"], default="test")
        parser.add_argument("--rows", type=int, help="development: so many training rows")
        parser.add_argument("--test-rows", type=int, help="development: so many test rows")
        parser.add_argument(
            "--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe"
        )
        parser.add_argument(
            "--peer", action="append", default=[], metavar="WORD", help="development: of the plain loop"
        )
        parser.add_argument("--again", action="store_true", help="measure cells that are there")
        options = parser.parse_args(words)
        for name in options.names:
            for seed in options.seeds:
                try:
                    values = self.measure_cell(name, seed, options)
                except DataAbsent as absent:
                    print(f"{name}: skipped: {absent}", flush=True)
                    break
                shown = ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, float))
                print(f"{name} seed {seed}: {shown}", flush=True)


def run_peer(module: str, train: Path, test: Path, *, words: tuple[str, ...], seed: int) -> dict[str, float]:
    """The plain loop in a process of its own; its figures, named `peer_...`.

    Raises:
        CommandFailed: It did not end well.
    """
    command = ["-m", module, "--train", str(train), "--test", str(test), "--seed", str(seed)]
    done = subprocess.run([sys.executable, *command, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(f"the plain loop ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"peer_{name}": value for name, value in found.items()}


def development(options: argparse.Namespace) -> dict[str, Any]:
    """What marks a cell as none of the claimed figures."""
    limits = {
        "rows": options.rows,
        "test_rows": options.test_rows,
        "on": None if options.on == "test" else options.on,
        "set": options.set or None,
        "peer": options.peer or None,
    }
    limits = {key: value for key, value in limits.items() if value is not None}
    return {"development": limits} if limits else {}
