"""P12: two classes, 8 labels each: seconds of training, seconds of the whole command, accuracy on SST-2 dev."""

import argparse
from collections.abc import Mapping
from typing import Any

from benchmarks.command import Fitted, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, DataAbsent, sst2_few
from benchmarks.record import Results

RESULTS = Results("few_shot")
SEEDS = 5


def training_seconds(fitted: Fitted) -> float:
    """What the command says its training took; the whole command where it does not say."""
    value: Any = fitted.summary.get("seconds", {})
    value = value.get("train") if isinstance(value, Mapping) else value
    return float(value) if value else fitted.seconds


def main(words: list[str] | None = None) -> None:
    """Measure the seeds that are missing.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold SST-2.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    options = parser.parse_args(words)
    marks = {"development": {"set": options.set}} if options.set else {}
    recipe = recipe_file("few_shot")
    for seed in range(options.seeds):
        cell = {"seed": seed, "recipe": recipe_digest(recipe, options.set), **marks}
        entry = RESULTS.find("P12", cell)
        if entry is None:
            train, test = sst2_few(seed).write(WORK / "P12")
            fitted = fit(train, test, recipe=recipe, out=WORK / "P12-bundle", seed=seed, overrides=options.set)
            figures = {name: fitted.metrics["accuracy"][end] for name, end in (("accuracy", "value"), ("low", "low"))}
            whole = {"seconds": training_seconds(fitted), "command_seconds": fitted.seconds}
            entry = RESULTS.append("P12", cell, {**whole, **figures})
            remove(fitted)
        print(f"P12 seed {seed}: {entry['values']}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
