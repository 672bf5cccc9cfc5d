"""Several signals at once: emoji from the picture, from the name, and from both under each fusion.

Every arm reads the same rows and is measured on the same test rows, touched once a seed. Beside each stands the
baseline that `fit` measures: scikit-learn's logistic regression on the classical features of the same inputs. Recipes
are tuned on rows held out of the training part (`--on validation`).
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.command import Fitted, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, DataAbsent, read
from benchmarks.record import Results

RESULTS = Results("several")
SEEDS = 3
BOTH = {"image": "image", "text": "text"}
ARMS: Mapping[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "text": ({"text": "text"}, ()),
    "image": ({"image": "image"}, ()),
    "late": (BOTH, ("model.fusion=late",)),
    "gated": (BOTH, ("model.fusion=gated",)),
    "cross": (BOTH, ("model.fusion=cross",)),
}
"""Name -> inputs and their modality, and what is set."""


def rows(on: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The official training and test part, or the training part cut once more.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the emoji.
    """
    table = read("emoji_image_text")
    train, test = table[table.split == "train"], table[table.split == "test"]
    if on == "test":
        return train, test
    kept, held = train_test_split(train, test_size=0.2, random_state=seed, stratify=train.label)
    return kept, held


def write(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> tuple[Path, Path]:
    """Save both inputs and the label as `train.parquet` and `test.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "train.parquet", folder / "test.parquet"
    for path, part in zip(paths, (train, test), strict=True):
        part[["image", "text", "label"]].to_parquet(path, index=False)
    return paths


def figures(fitted: Fitted) -> dict[str, Any]:
    """The accuracy with its interval, that of the linear baseline, and what each input contributes."""
    linear = {
        name: found["metrics"]["accuracy"]["value"]
        for name, found in fitted.summary["baselines"].items()
        if "regression" in name
    }
    without = {name: found["value"] for name, found in fitted.metrics.items() if " without " in name}
    accuracy = fitted.metrics["accuracy"]
    return {
        "accuracy": accuracy["value"],
        "low": accuracy["low"],
        "high": accuracy["high"],
        "linear": next(iter(linear.values())),
        "seconds": fitted.seconds,
        **without,
    }


def main(words: list[str] | None = None) -> None:
    """Measure the arms and seeds that are missing.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the emoji.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--on", choices=["test", "validation"], default="test")
    parser.add_argument("--rows", type=int, help="development: fewer training rows")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    options = parser.parse_args(words)
    changed = {"set": options.set, "rows": options.rows, "on": options.on}
    marks = {"development": changed} if options.set or options.rows or options.on != "test" else {}
    recipe = recipe_file("several")
    for seed in range(options.seeds):
        train, test = rows(options.on, seed)
        if options.rows:
            train = train.sample(options.rows, random_state=seed)
        paths = write(WORK / "several", train, test)
        for arm in options.arms:
            inputs, settings = ARMS[arm]
            overrides = [*settings, *options.set]
            cell = {"seed": seed, "recipe": recipe_digest(recipe, overrides), **marks}
            entry = RESULTS.find(f"several-{arm}", cell)
            if entry is None:
                out = WORK / f"several-{arm}"
                fitted = fit(*paths, recipe=recipe, out=out, seed=seed, overrides=overrides, inputs=inputs)
                entry = RESULTS.append(f"several-{arm}", cell, figures(fitted))
                remove(fitted)
            print(f"{arm} seed {seed}: {entry['values']}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except DataAbsent as absent:
        print(f"skipped: {absent}")
