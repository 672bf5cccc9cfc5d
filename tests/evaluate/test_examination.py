"""Slices, confusions, mistakes, thresholds, abstention, and all of them together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from underlay.core import Target
from underlay.evaluate import (
    baselines,
    choose_threshold,
    choose_thresholds,
    confident_mistakes,
    confusion,
    contributions,
    examine,
    label_figures,
    measure,
    risk_coverage,
    slices,
    to_probabilities,
)
from underlay.evaluate.slices import groups

PAIR = Target("mood", "binary", ("bad", "good"))
TARGET = Target("topic", "multiclass", ("art", "law", "war"))


def answers(rows: int = 300, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    logits = rng.normal(size=(rows, 3)) + np.eye(3)[truth]
    return logits, truth


def test_confusion_and_label_figures_equal_scikit_learn() -> None:
    logits, truth = answers()
    said = logits.argmax(1)
    found = confusion(TARGET, said, truth)
    assert (np.array(found.counts) == confusion_matrix(truth, said)).all()
    assert found.mistakes == (said != truth).sum()
    assert found.pairs[0].count == max(pair.count for pair in found.pairs)
    assert sum(pair.count for pair in found.pairs) == found.mistakes
    precision, recall, f1, count = precision_recall_fscore_support(truth, said)
    for position, figures in enumerate(label_figures(TARGET, said, truth)):
        assert figures.precision is not None and figures.recall is not None
        assert figures.precision.value == pytest.approx(precision[position])
        assert figures.recall.value == pytest.approx(recall[position])
        assert (figures.f1, figures.count) == (pytest.approx(f1[position]), count[position])


@pytest.mark.row("D02")
def test_a_label_without_a_test_row_is_untested_rather_than_zero() -> None:
    figures = label_figures(TARGET, np.array([0, 0, 2]), np.array([0, 0, 0]))
    assert (figures[1].recall, figures[1].precision, figures[1].f1) == (None, None, None)
    assert figures[2].recall is None and figures[2].precision is not None and figures[2].precision.value == 0


def test_a_matrix_of_many_labels_is_left_out_but_its_pairs_are_named() -> None:
    target = Target("t", "multiclass", tuple(map(str, range(500))))
    found = confusion(target, np.array([1, 1, 499]), np.array([0, 0, 498]))
    assert found.counts == ()
    assert [(pair.truth, pair.prediction, pair.count) for pair in found.pairs] == [("0", "1", 2), ("498", "499", 1)]


def test_the_slice_that_fares_worse_is_found() -> None:
    logits, truth = answers(600)
    source = np.where(np.arange(600) % 3 == 0, "web", "paper")
    logits[source == "web"] = np.random.default_rng(1).normal(size=(200, 3))
    found = {part.name: part for part in slices(TARGET, to_probabilities(logits), truth, columns={"source": source})}
    assert found["web"].worse and not found["paper"].worse
    assert found["web"].count == 200
    inside = source == "web"
    assert found["web"].figure == measure(TARGET, to_probabilities(logits)[inside], truth[inside])["accuracy"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-50, 50), st.floats(allow_nan=False)), max_size=60))
def test_slices_hold_every_row_once(values: list[float | None]) -> None:
    found = groups(values)
    assert sum(inside.astype(int) for inside in found.values()) == pytest.approx(np.ones(len(values)))


def test_equal_numbers_are_one_slice_and_truth_values_keep_their_names() -> None:
    assert list(groups([0, 0.0, -0.0, 2, 1.5])) == ["0", "1.5", "2"]
    assert sorted(groups([True, False, True])) == ["False", "True"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", max_size=2), max_size=80))
def test_slices_of_names_hold_every_row_once_and_are_few(values: list[str]) -> None:
    found = groups(values)
    assert sum(inside.astype(int) for inside in found.values()) == pytest.approx(np.ones(len(values)))
    assert len(found) <= 14


def test_ranges_that_read_alike_lose_no_row() -> None:
    found = groups([1 + step * 1e-9 for step in range(40)])
    assert sum(inside.astype(int) for inside in found.values()) == pytest.approx(np.ones(40))


def test_lengths_are_cut_into_ranges_a_person_can_read() -> None:
    assert list(groups(list(range(1, 101)))) == ["1 – 19", "20 – 39", "40 – 59", "60 – 79", "80 – 100"]


def test_the_surest_mistakes_come_first_with_their_place() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.1, 0.3, 0.6], [0.5, 0.3, 0.2]])
    truth = np.array([0, 0, 1, -100])
    found = confident_mistakes(
        TARGET, scores, truth, values={"text": ["a", "b", "c", "d"]}, places=lambda row: f"line {row + 2}"
    )
    assert [(one.value, one.truth, one.prediction, one.confidence, one.place) for one in found] == [
        ("b", "art", "law", 0.8, "line 3"),
        ("c", "law", "war", 0.6, "line 4"),
    ]


def test_mistakes_of_other_tasks_name_labels_and_numbers() -> None:
    many = Target("tags", "multilabel", ("a", "b"))
    found = confident_mistakes(
        many, np.array([[0.9, 0.8], [0.1, 0.2]]), np.array([[0, 1], [0, 0]]), values={"text": ["x", "y"]}
    )
    assert [(one.truth, one.prediction, one.confidence) for one in found] == [("b", "a, b", 0.9)]
    number = Target("stars", "regression")
    wrong = confident_mistakes(number, np.array([1.0, 9.5]), np.array([1.0, np.nan]), values={"text": ["x" * 700, "y"]})
    assert wrong == ()
    (one,) = confident_mistakes(number, np.array([1.0]), np.array([4.5]), values={"text": ["x" * 700]})
    assert (one.truth, one.prediction, one.confidence, len(one.value)) == ("4.5", "1", 3.5, 600)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(10, 60), seed=st.integers(0, 2**32), steps=st.sampled_from([3, 1000]))
def test_no_other_threshold_has_a_better_f1(rows: int, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.arange(rows) % 2
    probability = rng.integers(0, steps, rows) / steps
    best = f1_score(truth, probability >= choose_threshold(probability, truth))
    others = [f1_score(truth, probability >= other, zero_division=0) for other in [*probability, 0.0]]
    assert best == pytest.approx(max(others))


def test_a_label_with_few_rows_keeps_the_half() -> None:
    truth = np.zeros((40, 2), dtype=int)
    truth[:20, 0], truth[:2, 1] = 1, 1
    probability = np.where(truth == 1, 0.3, 0.1)
    assert choose_thresholds(probability, truth) == [pytest.approx(0.2), 0.5]


def test_risk_falls_to_the_best_possible_when_confidence_tells_all() -> None:
    right = np.arange(100) >= 20
    told = risk_coverage(right + np.linspace(0, 0.5, 100), right)
    assert told.area == pytest.approx(told.best_area)
    assert told.risk[-1] == pytest.approx(0.2) and told.coverage[-1] == 1.0
    blind = risk_coverage(np.ones(100), right)
    assert (blind.coverage, blind.risk, blind.area) == ((1.0,), (0.2,), pytest.approx(0.2))
    assert risk_coverage(np.zeros(0), np.zeros(0)).coverage == ()


def test_an_examination_agrees_with_its_parts() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    logits, truth = answers()
    truth[7] = -100
    values = [f"word{label} text" for label in truth]
    opponents = baselines(TARGET, values, truth, values, truth, classical=TfidfVectorizer())
    found = examine(
        TARGET,
        to_probabilities(logits, 1.7),
        truth,
        values={"text": values},
        logits=logits,
        temperature=1.7,
        opponents=opponents,
        columns={"length": list(range(300))},
    )
    assert found.count == 299
    assert found.metrics == measure(TARGET, to_probabilities(logits, 1.7), truth)
    assert found.calibration is not None and found.coverage is not None and found.confusion is not None
    assert found.calibration.after.ece == pytest.approx(found.metrics["ece"].value)
    assert found.calibration.log_loss[1] == pytest.approx(found.metrics["log_loss"].value)
    assert found.coverage.risk[-1] == pytest.approx(1 - found.metrics["accuracy"].value)
    assert found.opponents[1].gap.high < 0 < found.opponents[0].gap.low
    assert len(found.slices) == 5 and len(found.mistakes) == 20


def test_an_examination_without_a_labelled_row_is_empty() -> None:
    logits, truth = answers(4)
    found = examine(TARGET, to_probabilities(logits), np.full_like(truth, -100), values={"text": ["a"] * 4})
    assert (found.count, found.metrics, found.mistakes) == (0, {}, ())


def test_a_mistake_shows_every_input_of_its_row():
    values = {"title": ["fine", "poor"], "price": [2.5, None], "photo": [b"12345", b""]}
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = confident_mistakes(PAIR, scores, np.array([1, 0]), values=values)
    assert [mistake.value for mistake in found] == [
        "title: fine\nprice: 2.5\nphoto: 5 bytes",
        "title: poor\nprice: (missing)\nphoto: 0 bytes",
    ]
    wide = {f"c{at}": ["x" * 900] for at in range(30)}
    (one,) = confident_mistakes(PAIR, scores[:1], np.array([1]), values=wide)
    assert all(len(line) <= 70 for line in one.value.split("\n"))


def test_what_an_input_contributes_is_measured_on_the_same_rows_and_the_dearest_comes_first():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    sure = np.eye(2)[truth] * 0.8 + 0.1
    noise = np.eye(2)[rng.integers(0, 2, 400)] * 0.8 + 0.1
    half = np.where(rng.random((400, 1)) < 0.5, sure, noise)
    found = contributions(PAIR, sure, truth, without={"idle": sure, "half": half, "all": noise}, resamples=300)
    assert [one.column for one in found] == ["all", "half", "idle"]
    assert found[0].gap.value == pytest.approx(1 - (noise.argmax(1) == truth).mean())
    assert found[1].gap.low > 0
    assert (found[2].gap.low, found[2].gap.value, found[2].gap.high) == (0, 0, 0)
    number = Target("n", "regression")
    values = truth.astype(float)
    worse = contributions(number, values, values, without={"a": values, "b": values + 1}, resamples=50)
    assert [one.column for one in worse] == ["b", "a"]
    assert worse[0].gap.value == pytest.approx(-1)


def test_every_side_of_a_contribution_decides_by_the_same_threshold():
    scores = np.array([[0.6, 0.4]] * 4 + [[0.9, 0.1]] * 4)
    truth = np.array([1] * 4 + [0] * 4)
    (one,) = contributions(PAIR, scores, truth, without={"a": scores}, threshold=0.3, resamples=50)
    assert (one.figure.value, one.gap.value) == (1.0, 0.0)
