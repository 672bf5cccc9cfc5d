"""P22, recordings: `underlay fit` against the best scikit-learn model and a plain PyTorch network of the same size.

The three arms of a cell read the same rows and run in turn. Ours is timed as the whole command, the loop as its bare
training. Each arm is tuned on groups held out of the training part (`--on validation`), never on the test part.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.svm import SVC

from benchmarks.command import CommandFailed, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, Cut, DataAbsent, held_out_group, ravdess, sample, spoken_digits
from benchmarks.record import Results
from underlay.modalities import MODALITIES

RESULTS = Results("audio")


@dataclass(frozen=True)
class Task:
    """A set of recordings.

    Args:
        cut: Its rows.
        recipe: File under `recipes/`.
        peer: Arguments of the plain loop.
    """

    cut: Callable[[], Cut]
    recipe: str
    peer: tuple[str, ...]


TASKS: Mapping[str, Task] = {
    "P22-digits": Task(spoken_digits, "spoken_digits", ("--epochs", "20")),
    "P22-ravdess": Task(ravdess, "ravdess", ("--epochs", "40")),
}


def fit_classical(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """The best of logistic regression and support vector machines on log-mel statistics, by search over groups."""
    began = time.monotonic()
    audio = MODALITIES["audio"].create(assets={}, limit=None, options={})
    statistics = audio.fit(train.audio, np.random.default_rng(0)).classical()
    seen, asked = statistics.fit_transform(train.audio.tolist()), statistics.transform(test.audio.tolist())
    candidates = [
        (LogisticRegression(max_iter=300), {"C": [0.001, 0.01, 0.1, 1.0]}),
        (SVC(), {"C": [1.0, 4.0, 16.0], "gamma": [0.1 / seen.shape[1], 0.3 / seen.shape[1], 1 / seen.shape[1]]}),
    ]
    folds = list(GroupKFold(3).split(seen, train.label, train.group))
    searches = [GridSearchCV(model, grid, cv=folds).fit(seen, train.label) for model, grid in candidates]
    best = max(searches, key=lambda search: float(search.best_score_))
    return {
        "linear_accuracy": float(best.score(asked, test.label)),
        "linear_seconds": time.monotonic() - began,
        "linear_chosen": str(best.best_estimator_),
    }


def run_peer(train: Path, test: Path, *, words: tuple[str, ...], seed: int) -> dict[str, float]:
    """The plain loop in a process of its own.

    Raises:
        CommandFailed: It did not end well.
    """
    command = ["-m", "benchmarks.peer_sounds", "--train", str(train), "--test", str(test), "--seed", str(seed)]
    done = subprocess.run([sys.executable, *command, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(f"the plain loop ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"peer_{name}": found[name] for name in ("accuracy", "seconds", "parameters")}


def measure_cell(name: str, seed: int, options: argparse.Namespace) -> Mapping[str, Any]:
    """The three arms on one seed; from the result file if they are there.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the set.
    """
    task = TASKS[name]
    recipe = recipe_file(task.recipe)
    peer = (*task.peer, *options.peer)
    cell = {"seed": seed, "recipe": recipe_digest(recipe, [*options.set, *peer]), **development(options)}
    known = RESULTS.find(name, cell)
    if known is not None and not options.again:
        return dict(known["values"])
    cut = task.cut()
    if options.on == "validation":
        cut = held_out_group(cut)
    cut = Cut(sample(cut.train, options.rows, seed), sample(cut.test, options.test_rows, 0), column="audio")
    train, test = write(cut, WORK / name)
    ours = fit(
        train,
        test,
        recipe=recipe,
        out=WORK / f"{name}-bundle",
        seed=seed,
        overrides=options.set,
        inputs={"audio": "audio"},
    )
    values = {
        "accuracy": ours.metrics["accuracy"]["value"],
        **{end: ours.metrics["accuracy"][end] for end in ("low", "high")},
        "seconds": ours.seconds,
        "parameters": parameters_of(ours.bundle),
        **run_peer(train, test, words=peer, seed=seed),
        **fit_classical(cut.train, cut.test),
        "train_rows": len(cut.train),
        "test_rows": len(cut.test),
    }
    values["gain"] = values["accuracy"] - max(values["linear_accuracy"], values["peer_accuracy"])
    values["times_faster"] = values["peer_seconds"] / values["seconds"]
    RESULTS.append(name, cell, values)
    remove(ours)
    return values


def write(cut: Cut, folder: Path) -> tuple[Path, Path]:
    """Save as `train.parquet` and `test.parquet`, groups too: validation rows are groups of their own."""
    train, test = cut.write(folder)
    for rows, path in ((cut.train, train), (cut.test, test)):
        rows[[cut.column, "group", "label"]].to_parquet(path, index=False)
    return train, test


def parameters_of(bundle: Path) -> int:
    """How many numbers the model of a bundle holds, four bytes each."""
    return (bundle / "model.safetensors").stat().st_size // 4


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


def main(words: list[str] | None = None) -> None:
    """Measure the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--on", choices=["test", "validation"], default="test")
    parser.add_argument("--rows", type=int, help="development: so many training rows")
    parser.add_argument("--test-rows", type=int, help="development: so many test rows")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    parser.add_argument("--peer", action="append", default=[], metavar="WORD", help="development: of the plain loop")
    parser.add_argument("--again", action="store_true", help="measure cells that are there")
    options = parser.parse_args(words)
    for name in options.names:
        for seed in options.seeds:
            try:
                values = measure_cell(name, seed, options)
            except DataAbsent as absent:
                print(f"{name}: skipped: {absent}", flush=True)
                break
            shown = ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, float))
            print(f"{name} seed {seed}: {shown}", flush=True)


if __name__ == "__main__":
    main()
