"""What the users of a modality take: its classical features with a linear model, and `underlay fit` as it is."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.command import fit, remove
from benchmarks.datasets import Cut

from studies.language_as_foundation.tasks import STORES, Data, values_of
from underlay.core import stream
from underlay.evaluate import baselines
from underlay.modalities import MODALITIES

RECIPE = Path(__file__).parent / "native.yaml"


def run(arm: str, data: Data, *, size: int, seed: int, folder: Path = STORES) -> dict[str, Any]:
    """Fit on the rows of one size and read the test part once.

    Args:
        arm: `native-classical` or `native-trunk`.
        data: The task's rows.
        size: Rows, those of validation included.
        seed: Of solver, kernels, first values and batches.
        folder: For tables and the bundle.
    """
    began, used = time.monotonic(), sum(os.times()[:4])  # of the processes it starts too
    rows = pd.concat(data.rows(size))
    found = _classical(data, rows, seed) if arm == "native-classical" else _trunk(data, rows, seed, folder)
    return {
        **found,
        "train_rows": len(rows),
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(sum(os.times()[:4]) - used, 2),
    }


def _classical(data: Data, rows: pd.DataFrame, seed: int) -> dict[str, Any]:
    """The baseline that every report of Underlay shows; nothing is chosen, so all rows are learned from."""
    column, names = data.cut.column, data.labels
    seen, asked = values_of(rows, column), values_of(data.cut.test, column)
    fresh = MODALITIES[data.task.modality].create(assets={}, limit=None, options={})
    truth, right = (np.array([names.index(label) for label in part.label]) for part in (rows, data.cut.test))
    classical = fresh.fit(seen, stream(seed, "study/classical")).classical()
    _, linear = baselines(data.target, seen, truth, asked, right, classical=classical, seed=seed, resamples=1)
    return {"test_accuracy": float((linear.scores.argmax(1) == right).mean())}


def _trunk(data: Data, rows: pd.DataFrame, seed: int, folder: Path) -> dict[str, Any]:
    """The whole command, in a process of its own."""
    column = data.cut.column
    place = folder / f"native-{data.task.name}"
    train, test = Cut(rows, data.cut.test, column=column).write(place)
    inputs = {column: data.task.modality}
    fitted = fit(train, test, recipe=RECIPE, out=place / "bundle", seed=seed, inputs=inputs)
    remove(fitted)
    return {"test_accuracy": fitted.metrics["accuracy"]["value"], "trunk": MODALITIES[data.task.modality].trunk}
