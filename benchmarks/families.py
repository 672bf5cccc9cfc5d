"""One task, three families: digits of 8 x 8 pixels read by a transformer, a convolutional and a recurrent trunk.

Every arm reads the same rows with the same recipe and is measured on the same test rows, touched once a seed; no arm is
tuned. The transformer and the recurrent trunk read patches of 2 x 2 pixels, the residual network the pixels. Beside
them stands what `fit` compares with anyway: logistic regression on pixels and gradients.
"""

import argparse
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from benchmarks.command import recipe_digest, recipe_file
from benchmarks.datasets import WORK
from benchmarks.record import Results
from underlay.data import open_table
from underlay.strategies import FineTuned, Recipe, fine_tune

RESULTS = Results("families")
SEEDS = 3
TEST_ROWS = 597
"""Of 1,797: 1,200 are left to learn from."""

ARMS = {"transformer": "transformer", "convolutional": "resnet", "recurrent": "recurrent"}
"""Family -> its trunk."""


def write(folder: Path) -> tuple[Path, Path]:
    """Save training and test rows, the same for every arm and seed, as `train.parquet` and `test.parquet`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = open_table("sample:digits").arrow.select(["image", "label"]).to_pandas()
    shuffled: pd.DataFrame = table.sample(frac=1.0, random_state=0)
    paths = folder / "train.parquet", folder / "test.parquet"
    for path, part in zip(paths, (shuffled[TEST_ROWS:], shuffled[:TEST_ROWS]), strict=True):
        part.to_parquet(path, index=False)
    return paths


def figures(fitted: FineTuned, seconds: float) -> Mapping[str, Any]:
    """Accuracy with its interval, that of the linear baseline, seconds of the run, and numbers in the trunk."""
    with safe_open(fitted.bundle.path / "model.safetensors", framework="np") as weights:
        shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118 - no mapping
    accuracy = fitted.bundle.metrics["label"]["accuracy"]
    assert fitted.report is not None
    opponents = fitted.report.targets[0].opponents
    linear = next(one for one in opponents if "regression" in one.name)
    return {
        **{name: accuracy[name] for name in ("value", "low", "high")},
        "linear": linear.metrics["accuracy"].value,
        "seconds": seconds,
        "trunk_parameters": sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("trunk.")),
    }


def main(words: list[str] | None = None) -> None:
    """Measure the arms and seeds that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args(words)
    recipe, (train, test) = recipe_file("families"), write(WORK / "families")
    for seed in range(options.seeds):
        for arm in options.arms:
            overrides = [f"model.trunk={ARMS[arm]}"]
            cell = {"seed": seed, "recipe": recipe_digest(recipe, overrides)}
            entry = RESULTS.find(f"families-{arm}", cell)
            if entry is None:
                out, began = WORK / f"families-{arm}", time.monotonic()
                asked = Recipe.load(recipe, overrides=[*overrides, f"seed={seed}"])
                fitted = fine_tune(str(train), recipe=asked, out=out, test=str(test), force=True)
                entry = RESULTS.append(f"families-{arm}", cell, figures(fitted, time.monotonic() - began))
                shutil.rmtree(out)
            print(f"{arm} seed {seed}: {entry['values']}", flush=True)


if __name__ == "__main__":
    main()
