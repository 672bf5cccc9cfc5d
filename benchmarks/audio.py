"""P22, recordings: `underlay fit` against the best scikit-learn model and a plain PyTorch network of the same size.

The three arms of a cell read the same rows and run in turn. Ours is timed as the whole command, the loop as its bare
training. Each arm is tuned on groups held out of the training part (`--on validation`), never on the test part.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.svm import SVC

from benchmarks.command import Fitted
from benchmarks.datasets import Cut, held_out_group, ravdess, spoken_digits
from benchmarks.record import Results
from benchmarks.three_arms import Comparison, Task
from underlay.modalities import MODALITIES

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


def write(cut: Cut, folder: Path) -> tuple[Path, Path]:
    """Save as `train.parquet` and `test.parquet`, groups too: validation rows are groups of their own."""
    train, test = cut.write(folder)
    for rows, path in ((cut.train, train), (cut.test, test)):
        rows[[cut.column, "group", "label"]].to_parquet(path, index=False)
    return train, test


def parameters_of(ours: Fitted) -> dict[str, int]:
    """How many numbers the model of a bundle holds, four bytes each."""
    return {"parameters": (ours.bundle / "model.safetensors").stat().st_size // 4}


COMPARISON = Comparison(
    results=Results("audio"),
    column="audio",
    tasks=TASKS,
    peer="benchmarks.peer_sounds",
    classical=fit_classical,
    held_out=lambda cut, _: held_out_group(cut),
    write=write,
    more=parameters_of,
)
main = partial(COMPARISON.main, about=__doc__)


if __name__ == "__main__":
    main()
