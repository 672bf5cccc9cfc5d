"""Metrics agree with scikit-learn, intervals with a slow bootstrap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from underlay.core import DataError, Target
from underlay.evaluate import METRICS, Interval, difference, measure, to_probabilities
from underlay.evaluate.interval import intervals
from underlay.evaluate.ranking import precision_recall_area, roc_area


def target_of(task: str, labels: int) -> Target:
    return Target("t", task, tuple(f"label {k}" for k in range(labels)))  # type: ignore[arg-type]


def answers(rows: int, labels: int, *, seed: int = 0, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, rows)
    logits = rng.normal(size=(rows, labels))
    logits[np.arange(rows), truth] += skill
    return to_probabilities(logits), truth


def labels_of(rows: int, labels: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random((rows, labels)) < 0.3).astype(int)
    return to_probabilities(rng.normal(size=(rows, labels)) + 2 * truth - 1, multilabel=True), truth


def test_binary_metrics_equal_scikit_learn() -> None:
    scores, truth = answers(500, 2)
    found = {name: figure.value for name, figure in measure(target_of("binary", 2), scores, truth).items()}
    said = scores.argmax(1)
    assert found == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(truth, said),
            "macro_f1": oracle.f1_score(truth, said, average="macro"),
            "micro_f1": oracle.f1_score(truth, said, average="micro"),
            "mcc": oracle.matthews_corrcoef(truth, said),
            "log_loss": oracle.log_loss(truth, scores),
            "brier": oracle.brier_score_loss(truth, scores[:, 1]),
            "roc_auc": oracle.roc_auc_score(truth, scores[:, 1]),
            "pr_auc": oracle.average_precision_score(truth, scores[:, 1]),
            "ece": found["ece"],
        },
        abs=1e-10,
    )


@pytest.mark.parametrize("labels", [3, 20])
def test_multiclass_metrics_equal_scikit_learn(labels: int) -> None:
    scores, truth = answers(600, labels)
    found = {name: figure.value for name, figure in measure(target_of("multiclass", labels), scores, truth).items()}
    said, hot = scores.argmax(1), np.eye(labels)[truth]
    assert found == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(truth, said),
            "macro_f1": oracle.f1_score(truth, said, average="macro"),
            "micro_f1": oracle.f1_score(truth, said, average="micro"),
            "mcc": oracle.matthews_corrcoef(truth, said),
            "log_loss": oracle.log_loss(truth, scores),
            "brier": ((scores - hot) ** 2).sum(1).mean(),
            "roc_auc": oracle.roc_auc_score(truth, scores, multi_class="ovr"),
            "pr_auc": oracle.average_precision_score(hot, scores),
            "ece": found["ece"],
        },
        abs=1e-10,
    )


def test_multilabel_metrics_equal_scikit_learn() -> None:
    scores, truth = labels_of(400, 6)
    found = measure(target_of("multilabel", 6), scores, truth)
    said = (scores >= 0.5).astype(int)
    assert found["subset_accuracy"].value == pytest.approx(oracle.accuracy_score(truth, said))
    assert found["micro_f1"].value == pytest.approx(oracle.f1_score(truth, said, average="micro"))
    assert found["macro_f1"].value == pytest.approx(oracle.f1_score(truth, said, average="macro"))
    assert found["roc_auc"].value == pytest.approx(oracle.roc_auc_score(truth, scores))
    assert found["pr_auc"].value == pytest.approx(oracle.average_precision_score(truth, scores))
    assert found["log_loss"].value == pytest.approx(oracle.log_loss(truth.ravel(), scores.ravel()))
    assert found["brier"].value == pytest.approx(((scores - truth) ** 2).mean())


def test_regression_metrics_equal_scikit_learn_and_scipy_with_ties() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    truth = rng.integers(0, 12, 300) * 1e6
    said = truth + rng.normal(scale=2e6, size=300).round(-6)
    found = {name: figure.value for name, figure in measure(target_of("regression", 0), said, truth).items()}
    assert found == pytest.approx(
        {
            "mae": oracle.mean_absolute_error(truth, said),
            "rmse": oracle.root_mean_squared_error(truth, said),
            "r2": oracle.r2_score(truth, said),
            "spearman": spearmanr(truth, said).statistic,
        }
    )


def test_areas_with_tied_scores_equal_scikit_learn_and_their_influence_is_the_derivative() -> None:
    rng = np.random.default_rng(2)
    scores, positive = rng.integers(0, 6, 60) / 6, rng.random(60) < 0.4
    pairs = [(roc_area, oracle.roc_auc_score), (precision_recall_area, oracle.average_precision_score)]
    for area, judge in pairs:
        found = area(scores, positive)
        assert found.value == pytest.approx(judge(positive, scores))
        for row in range(0, 60, 7):
            weights = np.ones(60)
            weights[row] += 1e-5
            slope = (judge(positive, scores, sample_weight=weights) - found.value) / 1e-5
            assert found.rows[row] == pytest.approx(slope, abs=1e-4)
        assert found.rows.sum() == pytest.approx(0, abs=1e-9)


def test_intervals_equal_a_slow_bootstrap() -> None:
    scores, truth = answers(400, 2, skill=1.0)
    found = measure(target_of("binary", 2), scores, truth, resamples=2000)
    judges = {
        "accuracy": lambda rows: oracle.accuracy_score(truth[rows], scores[rows].argmax(1)),
        "macro_f1": lambda rows: oracle.f1_score(truth[rows], scores[rows].argmax(1), average="macro"),
        "mcc": lambda rows: oracle.matthews_corrcoef(truth[rows], scores[rows].argmax(1)),
        "log_loss": lambda rows: oracle.log_loss(truth[rows], scores[rows], labels=[0, 1]),
        "roc_auc": lambda rows: oracle.roc_auc_score(truth[rows], scores[rows, 1]),
        "pr_auc": lambda rows: oracle.average_precision_score(truth[rows], scores[rows, 1]),
    }
    rng = np.random.default_rng(3)
    draws = [rng.integers(0, 400, 400) for _ in range(300)]
    for name, judge in judges.items():
        low, high = np.quantile([judge(rows) for rows in draws], [0.025, 0.975])
        width = high - low
        assert found[name].low == pytest.approx(low, abs=0.2 * width), name
        assert found[name].high == pytest.approx(high, abs=0.2 * width), name


def test_intervals_of_numbers_equal_a_slow_bootstrap() -> None:
    rng = np.random.default_rng(5)
    truth = rng.gamma(2, size=300)
    said = truth + rng.normal(scale=0.8, size=300)
    found = measure(target_of("regression", 0), said, truth, resamples=2000)
    judges = {"mae": oracle.mean_absolute_error, "rmse": oracle.root_mean_squared_error, "r2": oracle.r2_score}
    draws = [rng.integers(0, 300, 300) for _ in range(600)]
    for name, judge in judges.items():
        low, high = np.quantile([judge(truth[rows], said[rows]) for rows in draws], [0.025, 0.975])
        assert found[name].low == pytest.approx(low, abs=0.15 * (high - low)), name
        assert found[name].high == pytest.approx(high, abs=0.15 * (high - low)), name


@pytest.mark.parametrize(("task", "labels"), [("binary", 2), ("multiclass", 5), ("multilabel", 4)])
def test_a_perfect_answer_scores_one_and_loses_nothing(task: str, labels: int) -> None:
    truth = np.arange(60) % labels if task != "multilabel" else labels_of(60, labels)[1]
    scores = np.eye(labels)[truth] if task != "multilabel" else truth.astype(float)
    for name, figure in measure(target_of(task, labels), scores, truth).items():
        assert figure.value == pytest.approx(1.0 if METRICS[name].higher else 0.0, abs=1e-9), name


def test_the_accuracy_of_few_perfect_rows_keeps_an_honest_width() -> None:
    scores, truth = np.eye(2)[np.arange(20) % 2], np.arange(20) % 2
    assert measure(target_of("binary", 2), scores, truth)["accuracy"].low < 0.85


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 60),
    labels=st.integers(2, 6),
    seed=st.integers(0, 2**32),
    skill=st.sampled_from([0.0, 1.0, 50.0]),
    task=st.sampled_from(["single", "multilabel", "regression"]),
)
def test_intervals_hold_the_value_and_the_order_of_rows_does_not_matter(
    rows: int, labels: int, seed: int, skill: float, task: str
) -> None:
    if task == "regression":
        rng = np.random.default_rng(seed)
        target, scores, truth = target_of(task, 0), rng.normal(size=rows), rng.integers(0, 3, rows).astype(float)
    elif task == "multilabel":
        target, (scores, truth) = target_of(task, labels), labels_of(rows, labels, seed=seed)
    else:
        target = target_of("binary" if labels == 2 else "multiclass", labels)
        scores, truth = answers(rows, labels, seed=seed, skill=skill)
    order = np.random.default_rng(seed).permutation(rows)
    found = measure(target, scores, truth, resamples=50)
    shuffled = measure(target, scores[order], truth[order], resamples=50)
    assert found.keys() == shuffled.keys()
    for name, figure in found.items():
        assert figure.low <= figure.value <= figure.high
        assert np.isfinite([figure.low, figure.high]).all() or METRICS[name].title == "R²"
        assert figure.value == pytest.approx(shuffled[name].value, abs=1e-9)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    scores, truth = answers(100, 3)
    target = target_of("multiclass", 3)
    assert measure(target, scores, truth, seed=4) == measure(target, scores, truth, seed=4)
    assert measure(target, scores, truth, seed=4) != measure(target, scores, truth, seed=5)


def test_rows_without_a_truth_are_set_aside_and_areas_of_one_class_left_out() -> None:
    scores, truth = answers(50, 2)
    target = target_of("binary", 2)
    hidden = np.concatenate([truth, [-100, -100]])
    more = np.concatenate([scores, [[0.5, 0.5], [0.1, 0.9]]])
    assert measure(target, more, hidden) == measure(target, scores, truth)
    assert "roc_auc" not in measure(target, scores[:5], np.zeros(5, dtype=int))
    assert measure(target, scores[:0], truth[:0]) == {}


def test_a_threshold_decides_in_place_of_the_likeliest_label() -> None:
    scores, truth = np.array([[0.6, 0.4], [0.9, 0.1]]), np.array([1, 0])
    target = target_of("binary", 2)
    assert measure(target, scores, truth)["accuracy"].value == 0.5
    assert measure(target, scores, truth, threshold=0.3)["accuracy"].value == 1.0


def test_scores_that_do_not_fit_say_both_shapes() -> None:
    with pytest.raises(DataError, match=r"scores \(3, 4\) and truth \(3,\)"):
        measure(target_of("binary", 2), np.ones((3, 4)), np.zeros(3, dtype=int))
    with pytest.raises(DataError, match="not finite in 1"):
        measure(target_of("regression", 0), np.array([np.nan, 1.0]), np.zeros(2))


def test_a_paired_difference_is_tighter_than_two_intervals_and_has_a_sign() -> None:
    scores, truth = answers(800, 2, skill=1.0)
    worse = scores.copy()
    worse[:40] = worse[:40, ::-1]
    target = target_of("binary", 2)
    gap = difference(target, scores, worse, truth)
    alone = measure(target, scores, truth)["accuracy"]
    assert gap.value == pytest.approx(
        alone.value - measure(target, worse, truth)["accuracy"].value,
    )
    assert gap.high - gap.low < alone.high - alone.low
    assert difference(target, scores, scores, truth) == Interval(0.0, 0.0, 0.0)


def test_intervals_of_nothing_are_nothing() -> None:
    assert intervals({}) == {}
