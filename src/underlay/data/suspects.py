"""Labels that a model trained on the other rows doubts: confident learning."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from underlay.core import Picked, Schema, derive_seed
from underlay.data.findings import Finding, several
from underlay.data.lazy_column import column_rows
from underlay.data.table import Table
from underlay.data.targets import encode_targets

_SLACK = 1e-6
_FOLDS = 5
_MOST_SHARE = 0.2  # a model that doubts more than these is too weak to judge
_MOST_ROWS = 50_000  # five linear fits on more take minutes


def suspect_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows whose label is probably wrong, most doubtful first, int64.

    A row is suspect when another label is more probable than that label is on average among the rows that carry it,
    and the model does not predict the given label.

    Args:
        probabilities: Out-of-fold, `[N, K]`: of a model that has not seen the row.
        labels: Class index, `[N]`; negative ones (unlabelled) are left out.

    Source: Northcutt, Jiang & Chuang, Confident Learning, JAIR 2021, eq. 1-2; ranked by self-confidence.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    >>> suspect_labels(p, np.array([0, 0, 1, 1, 0])).tolist()
    [4]
    """
    labels = np.asarray(labels)
    thresholds = np.array([_mean(probabilities[labels == label, label]) for label in range(probabilities.shape[1])])
    confident = probabilities >= thresholds - _SLACK
    predicted = probabilities.argmax(axis=1)
    guess = np.where(confident.sum(axis=1) > 1, predicted, confident.argmax(axis=1))
    suspect = confident.any(axis=1) & (guess != labels) & (predicted != labels) & (labels >= 0)
    rows = np.flatnonzero(suspect)
    return rows[np.argsort(probabilities[rows, labels[rows]], kind="stable")].astype(np.int64)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.inf  # a label without rows is never the better guess


def suspects(
    table: Table, schema: Schema, *, classical: Any, seed: int, probabilities: np.ndarray | None = None
) -> tuple[np.ndarray, list[Finding]]:
    """Give the suspect rows of a table with one text column and one target, and what to say of them.

    Args:
        table: The data; beyond 50 000 rows only the first are looked at.
        schema: What its columns mean; only binary and multiclass targets are looked at.
        classical: An unfitted scikit-learn transformer from raw values to features.
        seed: Of the run.
        probabilities: Out-of-fold ones of a better model, `[N, K]`.
    """
    target = schema.targets[0]
    rows = min(len(table), _MOST_ROWS)
    if target.task not in ("binary", "multiclass") or rows < _FOLDS * 2:
        return np.zeros(0, np.int64), []
    labels = encode_targets(table, target).values[:rows]
    if probabilities is None:
        values = column_rows(table, schema.columns[0].name, np.arange(rows))
        probabilities = out_of_fold(values, labels, classical=classical, seed=seed)
    found = suspect_labels(probabilities[:rows], labels)
    if not len(found) or len(found) > _MOST_SHARE * rows:
        return found[:0], []
    guessed = [target.labels[at] for at in probabilities[found[:5]].argmax(axis=1)]
    given = [target.labels[at] for at in labels[found[:5]]]
    places = [
        f"{table.place(int(row))} ({old}, rather {new}?)"
        for row, old, new in zip(found[:5], given, guessed, strict=True)
    ]
    message = f"{several(len(found), 'label')} that a linear model of the other rows doubts; look at the first ones"
    return found, [Finding("suspect_labels", "info", len(found), message, tuple(places))]


def out_of_fold(values: Sequence[Any], labels: np.ndarray, *, classical: Any, seed: int) -> np.ndarray:
    """Probabilities of each label for each row, from a linear model that has not seen the row, `[N, K]`.

    Labels with fewer rows than folds take part as far as they can; rows without a label get 1 / K.

    Args:
        values: Raw values of one column.
        labels: Class index, `[N]`; negative: unlabelled.
        classical: An unfitted scikit-learn transformer from raw values to features.
        seed: Of the run.
    """
    from sklearn.linear_model import LogisticRegression

    labelled = np.flatnonzero(labels >= 0)
    known = labels[labelled]
    count = int(labels.max(initial=-1)) + 1
    probabilities = np.full((len(labels), count), 1.0 / max(count, 1))
    features = classical.fit_transform(Picked(values, labelled))
    solver = (
        "saga" if sparse.issparse(features) else "lbfgs"
    )  # on 10,000 dense features lbfgs takes a tenth of the time
    fold = _folds(known, seed)
    for held in range(_FOLDS):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        if not len(test) or len(np.unique(known[train])) < 2:
            continue
        model = LogisticRegression(solver=solver, tol=1e-2, random_state=seed % 2**32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # not converged: near enough to tell a doubtful label
            model.fit(features[train], known[train])
        block = np.zeros((len(test), count))
        block[:, model.classes_] = model.predict_proba(features[test])
        probabilities[labelled[test]] = block
    return probabilities


def _folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Deal the rows of each label out to the folds in random order."""
    rng = np.random.default_rng(derive_seed(seed, "suspects"))
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % _FOLDS
    return fold
