"""The two opponents: what they answer, how fast, on which tasks."""

from time import perf_counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

from underlay.core import Target
from underlay.evaluate import baselines, measure

WORDS = [f"w{k}" for k in range(3000)]


def sentences(rows: int, labels: int, *, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Ten words a row, three of them of the row's label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, rows)
    common, own = rng.integers(500, 3000, (rows, 7)), rng.integers(0, 4, (rows, 3))
    return [
        " ".join([WORDS[k] for k in some] + [f"c{label}x{k}" for k in few])
        for some, few, label in zip(common, own, truth, strict=True)
    ], truth


def target_of(labels: int) -> Target:
    return Target("t", "binary" if labels == 2 else "multiclass", tuple(map(str, range(labels))))


@pytest.mark.parametrize(("labels", "rows", "limit"), [(2, 8500, 3), (77, 10000, 20)])
def test_the_linear_model_learns_and_is_quick(labels: int, rows: int, limit: float) -> None:
    train, truth = sentences(rows, labels)
    test, asked = sentences(500, labels, seed=1)
    started = perf_counter()
    lazy, linear = baselines(target_of(labels), train, truth, test, asked, classical=TfidfVectorizer())
    assert perf_counter() - started < limit
    assert linear.metrics["accuracy"].value > 0.95
    assert lazy.metrics["accuracy"].value < 2 / labels
    assert linear.scores.shape == (500, labels)
    assert (lazy.name, linear.name) == ("Majority class", "TF-IDF + logistic regression")
    assert linear.metrics == measure(target_of(labels), linear.scores, asked)


def test_the_majority_answers_the_training_shares() -> None:
    train, truth = ["a", "b", "c", "d"], np.array([0, 1, 1, -100])
    lazy, _ = baselines(target_of(2), train, truth, ["e"], np.array([0]), classical=TfidfVectorizer(analyzer="char"))
    assert lazy.scores == pytest.approx(np.array([[1 / 3, 2 / 3]]))
    assert lazy.rows == 3


def test_a_label_without_a_training_row_gets_no_probability() -> None:
    train, truth = sentences(200, 2)
    _, linear = baselines(target_of(3), train, truth * 2, train[:5], truth[:5], classical=TfidfVectorizer())
    assert (linear.scores[:, 1] == 0).all()
    assert linear.scores.sum(1) == pytest.approx(1)


def test_a_single_label_in_training_is_answered_always() -> None:
    train, truth = sentences(20, 2)
    _, linear = baselines(target_of(2), train, truth * 0, train, truth, classical=TfidfVectorizer())
    assert (linear.scores == [1, 0]).all()


def test_multilabel_with_a_label_that_never_occurs() -> None:
    train, first = sentences(400, 3)
    truth = np.concatenate([np.eye(3, dtype=int)[first], np.zeros((400, 1), dtype=int)], axis=1)
    target = Target("t", "multilabel", ("a", "b", "c", "never"))
    lazy, linear = baselines(target, train[:300], truth[:300], train[300:], truth[300:], classical=TfidfVectorizer())
    assert linear.metrics["micro_f1"].value > 0.9 > lazy.metrics["micro_f1"].value
    assert (linear.scores[:, 3] == 0).all()


def test_regression_has_a_mean_and_a_ridge_over_dense_features() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 5))
    truth = values @ np.arange(5.0) + 10
    target = Target("t", "regression")
    lazy, linear = baselines(
        target, values[:200], truth[:200], values[200:], truth[200:], classical=StandardScaler(), features="Scaled"
    )
    assert linear.name == "Scaled + ridge regression"
    assert lazy.metrics["r2"].value <= 0 < 0.99 < linear.metrics["r2"].value


def test_the_same_seed_gives_the_same_answers() -> None:
    train, truth = sentences(300, 4)
    first, second = (
        baselines(target_of(4), train, truth, train, truth, classical=TfidfVectorizer(), seed=3)[1] for _ in range(2)
    )
    assert (first.scores == second.scores).all()
