"""Two honest opponents: what one gets for nothing, and what one gets in seconds without a neural network."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from scipy import sparse

from underlay.core import Beside, Target, picked, stream
from underlay.evaluate.interval import Interval
from underlay.evaluate.measure import Scores, known_rows, measure

MOST_ROWS = 100_000
"""Training rows the linear model sees: more of them change its third digit and take minutes."""
INVERSE_PENALTY = 10.0
"""Best of 1, 3 and 10 for TF-IDF on SST-2, Banking77 and CLINC150: a baseline should not be a straw man."""


@dataclass(frozen=True)
class Baseline:
    """An opponent's figures on the test rows.

    Args:
        name: For people.
        metrics: As `measure` gives them.
        scores: Its probabilities `[N, K]`, numbers `[N]`, or what `Ranked` keeps, one a test row.
        seconds: Fitting and answering.
        rows: Training rows used.
    """

    name: str
    metrics: dict[str, Interval]
    scores: Scores
    seconds: float
    rows: int


def baselines(
    target: Target,
    train_values: Sequence[Any],
    train_truth: np.ndarray,
    test_values: Sequence[Any],
    test_truth: np.ndarray,
    *,
    classical: Any,
    features: str = "TF-IDF",
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[Baseline, ...]:
    """The majority class (or mean), then classical features with a linear model; both fitted on the training rows.

    Args:
        target: What is predicted.
        train_values: Raw values, one a row.
        train_truth: As `measure` takes it; unlabelled rows are set aside.
        test_values: Raw values to answer.
        test_truth: Their truth.
        classical: An unfitted scikit-learn transformer from raw values to features.
        features: What it computes, for people.
        seed: Of sampling, solver and intervals.
        resamples: Of the intervals.
    """
    train_truth = np.asarray(train_truth)
    rows = np.flatnonzero(known_rows(target, train_truth))
    if len(rows) > MOST_ROWS:
        rows = np.sort(stream(seed, "baseline").choice(rows, MOST_ROWS, replace=False))
    truth = train_truth[rows]

    def scored(name: str, answer: Callable[[], np.ndarray]) -> Baseline:
        started = perf_counter()
        scores = answer()
        seconds = perf_counter() - started
        return Baseline(
            name, measure(target, scores, test_truth, seed=seed, resamples=resamples), scores, seconds, len(rows)
        )

    def linear() -> np.ndarray:
        seen = classical.fit_transform(picked(train_values, rows))
        return _linear(target, seen, truth, classical.transform(test_values), seed)

    frequent = {"regression": "Mean of training rows", "multilabel": "Label frequencies"}
    found = [scored(frequent.get(target.task, "Majority class"), lambda: _constant(target, truth, len(test_values)))]
    if len(rows) and len(test_values):
        model = "ridge regression" if target.task == "regression" else "logistic regression"
        found.append(scored(f"{features} + {model}", linear))
    return tuple(found)


class SideBySide:
    """Classical features of several columns, one beside the other; a scikit-learn transformer of rows of values.

    Args:
        transformers: Unfitted, one a column.
    """

    def __init__(self, transformers: Sequence[Any]) -> None:
        self.transformers = tuple(transformers)

    def fit_transform(self, rows: Sequence[Sequence[Any]], _: Any = None) -> Any:
        """Fit each on its column; features `[N, F]`, sparse where any of them is."""
        return _beside([one.fit_transform(values) for one, values in self._pairs(rows)])

    def transform(self, rows: Sequence[Sequence[Any]]) -> Any:
        """Features `[N, F]` of further rows."""
        return _beside([one.transform(values) for one, values in self._pairs(rows)])

    def _pairs(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, Sequence[Any]]]:
        columns = rows.columns if isinstance(rows, Beside) else [list(values) for values in zip(*rows, strict=True)]
        return zip(self.transformers, columns, strict=True)


def _beside(blocks: Sequence[Any]) -> Any:
    if any(sparse.issparse(block) for block in blocks):
        return sparse.hstack(blocks).tocsr()
    return np.hstack(blocks)


def _constant(target: Target, truth: np.ndarray, rows: int) -> np.ndarray:
    if target.task == "regression":
        return np.full(rows, truth.mean() if len(truth) else 0.0)
    if target.task == "multilabel":
        return np.tile(truth.mean(0) if len(truth) else np.full(len(target.labels), 0.5), (rows, 1))
    counts = np.bincount(truth.astype(np.int64), minlength=len(target.labels))
    return np.tile(counts / max(counts.sum(), 1), (rows, 1))


def _linear(target: Target, seen: Any, truth: np.ndarray, asked: Any, seed: int) -> np.ndarray:
    if target.task == "regression":
        from sklearn.linear_model import Ridge

        return np.asarray(Ridge(random_state=seed % 2**32).fit(seen, truth).predict(asked))
    if target.task == "multilabel":
        return np.stack([_probability(seen, column, asked, 2, seed)[:, 1] for column in truth.T], axis=1)
    return _probability(seen, truth, asked, len(target.labels), seed)


def _probability(seen: Any, truth: np.ndarray, asked: Any, labels: int, seed: int) -> np.ndarray:
    """Logistic regression's probabilities `[N, labels]`; labels without a training row get 0."""
    found = np.zeros((asked.shape[0], labels))
    if len(np.unique(truth)) == 1:
        found[:, int(truth[0])] = 1.0
        return found
    from sklearn.linear_model import LogisticRegression

    # On sparse rows saga is 10 to 100 times faster than L-BFGS and reaches the same accuracy within 50 passes.
    solver = "saga" if sparse.issparse(seen) else "lbfgs"
    model = LogisticRegression(C=INVERSE_PENALTY, solver=solver, max_iter=50, tol=1e-3, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not converged, or many labels for few rows: known
        model.fit(seen, truth.astype(np.int64))
    found[:, model.classes_] = model.predict_proba(asked)
    return found
