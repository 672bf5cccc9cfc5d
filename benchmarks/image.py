"""P22, pictures: `underlay fit` against the best scikit-learn model and a plain PyTorch loop on the same network.

The three arms of a cell read the same rows and run in turn. Ours is timed as the whole command, the loop as its bare
training. Each arm is tuned on rows held out of the training part (`--on validation`), never on the test part.
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
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.command import CommandFailed, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, Cut, DataAbsent, cifar10, fashion_mnist, held_out, sample
from benchmarks.record import Results
from underlay.modalities.image_classical import PictureFeatures

RESULTS = Results("image")
SEARCHED_ROWS = 3_000
"""Training rows of the search; the winner is fitted on all of them."""


@dataclass(frozen=True)
class Task:
    """A set of pictures.

    Args:
        cut: Its rows.
        recipe: File under `recipes/`.
        peer: Arguments of the plain loop.
    """

    cut: Callable[[], Cut]
    recipe: str
    peer: tuple[str, ...]


TASKS: Mapping[str, Task] = {
    "P22-fashion": Task(fashion_mnist, "fashion_mnist", ("--size", "96", "--epochs", "3", "--flip")),
    "P22-cifar10": Task(cifar10, "cifar10", ("--size", "96", "--epochs", "3", "--flip")),
}


def fit_classical(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """The best of support vector machines on small pixels and histograms of gradients, by 3-fold search.

    On Fashion-MNIST these are the best of the classical models that its authors list (Xiao et al., 2017, table 3).
    """
    began = time.monotonic()
    seen, asked = (PictureFeatures().transform(part.image) for part in (train, test))
    pipeline = make_pipeline(StandardScaler(), PCA(100, random_state=0), SVC())
    grid = {"pca__n_components": [min(50, len(train) // 4), min(150, len(train) // 2)], "svc__C": [2.0, 8.0]}
    searched = np.random.default_rng(0).permutation(len(train))[:SEARCHED_ROWS]
    search = GridSearchCV(pipeline, grid, cv=3, refit=False).fit(seen[searched], train.label.to_numpy()[searched])
    best = pipeline.set_params(**search.best_params_).fit(seen, train.label)
    score = float(best.score(asked, test.label))
    return {
        "linear_accuracy": score,
        "linear_seconds": time.monotonic() - began,
        "linear_chosen": {key: float(value) for key, value in search.best_params_.items()},
    }


def run_peer(train: Path, test: Path, *, words: tuple[str, ...], seed: int) -> dict[str, float]:
    """The plain loop in a process of its own.

    Raises:
        CommandFailed: It did not end well.
    """
    command = ["-m", "benchmarks.peer_pictures", "--train", str(train), "--test", str(test), "--seed", str(seed)]
    done = subprocess.run([sys.executable, *command, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(f"the plain loop ended with {done.returncode}:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {"peer_accuracy": found["accuracy"], "peer_seconds": found["seconds"]}


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
        cut = held_out(cut, seed)
    cut = Cut(sample(cut.train, options.rows, seed), sample(cut.test, options.test_rows, 0), column="image")
    train, test = cut.write(WORK / name)
    ours = fit(
        train,
        test,
        recipe=recipe,
        out=WORK / f"{name}-bundle",
        seed=seed,
        overrides=options.set,
        inputs={"image": "image"},
    )
    values = {
        "accuracy": ours.metrics["accuracy"]["value"],
        **{end: ours.metrics["accuracy"][end] for end in ("low", "high")},
        "seconds": ours.seconds,
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
