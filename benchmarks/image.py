"""P22, pictures: `underlay fit` against the best scikit-learn model and a plain PyTorch loop on the same network.

The three arms of a cell read the same rows and run in turn. Ours is timed as the whole command, the loop as its bare
training. Each arm is tuned on rows held out of the training part (`--on validation`), never on the test part; the
learning rate of the loop by a sweep that the first cell makes.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.datasets import cifar10, fashion_mnist, held_out
from benchmarks.record import Results
from benchmarks.three_arms import Comparison, Task
from underlay.modalities.image_classical import PictureFeatures

SEARCHED_ROWS = 3_000
"""Training rows of the search; the winner is fitted on all of them."""

RATES = (3e-4, 1e-3, 3e-3)
"""Of the plain loop, tried on validation rows."""

PEER = ("--size", "96", "--epochs", "3", "--flip")

TASKS: Mapping[str, Task] = {
    "P22-fashion": Task(fashion_mnist, "fashion_mnist", PEER, RATES),
    "P22-cifar10": Task(cifar10, "cifar10", PEER, RATES),
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


COMPARISON = Comparison(
    results=Results("image"),
    column="image",
    tasks=TASKS,
    peer="benchmarks.peer_pictures",
    classical=fit_classical,
    held_out=held_out,
)
main = partial(COMPARISON.main, about=__doc__)


if __name__ == "__main__":
    main()
