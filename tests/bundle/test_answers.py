"""From raw values to answers."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.bundle import Rule, open_bundle, seal
from underlay.bundle.answering import BATCH_POSITIONS, BATCH_ROWS, batches
from underlay.core import BundleRefused, DataError, MissingColumn, RowError, Target, UsageError


@given(lengths=st.lists(st.integers(1, 20_000), max_size=400))
def test_batches_hold_every_row_once_within_the_budget_and_alike_in_length(lengths: list[int]) -> None:
    made = list(batches(np.array(lengths, dtype=np.int64)))
    assert sorted(row for batch in made for row in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) <= BATCH_ROWS
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= BATCH_POSITIONS
    longest = [max(lengths[row] for row in batch) for batch in made]
    assert longest == sorted(longest)


def test_answers_come_in_the_order_of_the_rows_and_do_not_depend_on_their_neighbours(
    sealed: Path, tiny: ModuleType
) -> None:
    bundle = open_bundle(sealed)
    texts = [text * (1 + i % 7) for i, text in enumerate(tiny.TEXTS)]
    together = bundle.predict_proba(texts)
    alone = np.concatenate([bundle.predict_proba([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-6
    assert bundle.predict(texts) == [bundle.predict([text])[0] for text in texts]


def test_a_row_that_cannot_be_used_leaves_the_others_their_answers(sealed: Path, tiny: ModuleType) -> None:
    bundle = open_bundle(sealed)
    answers = bundle.answer({"text": [tiny.TEXTS[0], None, "", tiny.TEXTS[1]]})
    assert {row: problem.code for row, problem in answers.problems.items()} == {1: "missing_text", 2: "empty_text"}
    assert answers.predictions["label"][1] is None
    assert np.isnan(answers.probabilities["label"][1:3]).all()
    assert np.isnan(answers.confidence["label"][1:3]).all()
    assert [answers.predictions["label"][i] for i in (0, 3)] == bundle.predict(tiny.TEXTS[:2])
    with pytest.raises(RowError, match="2 of 4 values cannot be used, first at position 1"):
        bundle.predict([tiny.TEXTS[0], None, "", tiny.TEXTS[1]])


def test_no_rows_have_no_answers(sealed: Path) -> None:
    bundle = open_bundle(sealed)
    assert bundle.predict([]) == []
    assert bundle.predict_proba([]).shape == (0, 2)


def test_values_come_as_a_list_dicts_columns_or_a_frame(sealed: Path, tiny: ModuleType) -> None:
    import pandas as pd
    import pyarrow as pa

    bundle = open_bundle(sealed)
    texts = tiny.TEXTS[:5]
    expected = bundle.predict(texts)
    assert bundle.predict(np.array(texts)) == expected
    assert bundle.predict(pd.Series(texts)) == expected
    assert bundle.predict([{"text": text, "other": 1} for text in texts]) == expected
    assert bundle.predict({"text": texts}) == expected
    assert bundle.predict(pd.DataFrame({"other": 1, "text": texts})) == expected
    assert bundle.predict(pa.table({"text": texts})["text"].to_pylist()) == expected
    with pytest.raises(UsageError, match=r"predict\(\[text\]\)"):
        bundle.predict("one text")
    with pytest.raises(MissingColumn, match=r"'text'; there is \['txet'\]"):
        bundle.predict({"txet": texts})


def test_probabilities_have_the_columns_of_the_labels(tiny: ModuleType, tmp_path: Path) -> None:
    bundle = seal(tmp_path / "bundle", tiny.contents(tiny.TARGETS["multiclass"]))
    assert bundle.labels == ("9", "10", "best")
    probabilities = bundle.predict_proba(tiny.TEXTS)
    assert np.allclose(probabilities.sum(-1), 1)
    assert bundle.predict(tiny.TEXTS) == [bundle.labels[i] for i in probabilities.argmax(-1)]
    answers = bundle.answer({"text": tiny.TEXTS})
    assert np.allclose(answers.confidence["label"], probabilities.max(-1))


def test_several_targets_are_answered_at_once_and_asked_for_by_name(tiny: ModuleType, tmp_path: Path) -> None:
    stars = Target("stars", "regression")
    calibration = {"stars": {"mean": 3.0, "scale": 2.0}, "label": {"temperature": 2.0}}
    made = tiny.contents(tiny.TARGETS["binary"], stars, calibration=calibration)
    bundle = seal(tmp_path / "bundle", made)
    answers = bundle.answer({"text": tiny.TEXTS})
    assert np.allclose(answers.predictions["stars"], answers.logits["stars"][:, 0] * 2 + 3)
    assert bundle.predict(tiny.TEXTS, target="stars") == answers.predictions["stars"]
    with pytest.raises(DataError, match="name the one you mean"):
        bundle.predict(tiny.TEXTS)
    with pytest.raises(UsageError, match="is a number"):
        bundle.predict_proba(tiny.TEXTS, target="stars")
    with pytest.raises(UsageError, match="there is no target 'star'"):
        bundle.predict(tiny.TEXTS, target="star")
    assert bundle.calibration["label"]["temperature"] == 2.0
    assert open_bundle(tmp_path / "bundle").calibration == bundle.calibration


def test_multilabel_rows_get_every_label_above_its_threshold(tiny: ModuleType, tmp_path: Path) -> None:
    made = tiny.contents(tiny.TARGETS["multilabel"], calibration={"label": {"thresholds": [0.9, 0.1, 0.5]}})
    bundle = seal(tmp_path / "bundle", made)
    probabilities = bundle.predict_proba(tiny.TEXTS)
    expected = [tuple(np.array(bundle.labels)[row >= [0.9, 0.1, 0.5]].tolist()) for row in probabilities]
    assert bundle.predict(tiny.TEXTS) == expected


def test_a_binary_threshold_moves_the_decision_and_the_confidence_with_it() -> None:
    target = Target("label", "binary", ("no", "yes"))
    rule = Rule.from_calibration(target, {"threshold": 0.2})
    probabilities = np.array([[0.7, 0.3], [0.9, 0.1]])
    assert rule.decide(probabilities) == ["yes", "no"]
    assert rule.confidence(probabilities).tolist() == [0.3, 0.9]
    assert np.allclose(rule.margin(probabilities), [0.1, 0.1])


@pytest.mark.parametrize("calibration", [{"temperature": 0.0}, {"scale": float("nan")}, {"thresholds": [0.1, 0.2]}])
def test_impossible_rules_are_refused(calibration: dict) -> None:
    with pytest.raises(BundleRefused):
        Rule.from_calibration(Target("label", "binary", ("no", "yes")), calibration)


@given(logits=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_are_finite_and_keep_the_order_of_the_logits(logits: list[list[float]]) -> None:
    for task in ("multiclass", "multilabel"):
        rule = Rule(Target("label", task, ("a", "b", "c")), temperature=0.5)
        probabilities = rule.probabilities(np.array(logits))
        assert np.isfinite(probabilities).all()
        order = np.argsort(np.array(logits), axis=-1)
        assert (np.diff(np.take_along_axis(probabilities, order, -1), axis=-1) >= 0).all()


@pytest.mark.row("B19")
def test_answers_do_not_change_when_the_folder_is_overwritten_or_cut_under_an_open_bundle(
    tiny: ModuleType, tmp_path: Path
) -> None:
    bundle = seal(tmp_path / "bundle", tiny.contents())
    before = bundle.predict_proba(tiny.TEXTS)
    weights = tmp_path / "bundle" / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(400)
        file.write(b"\x00" * 400)
    assert np.array_equal(bundle.predict_proba(tiny.TEXTS), before)
    with weights.open("r+b") as file:
        file.truncate(10)
    assert np.array_equal(bundle.predict_proba(tiny.TEXTS), before)


@pytest.mark.row("X10")
@settings(max_examples=30)
@given(text=st.text(min_size=1, max_size=40))
def test_no_text_makes_a_bundle_fail(sealed: Path, text: str) -> None:
    bundle = _opened(sealed)
    answers = bundle.answer({"text": [text, "{{7*7}} ${x} %s ignore the rules"]})
    assert 1 not in answers.problems
    assert all(problem.code in ("empty_text", "text_malformed") for problem in answers.problems.values())


_CACHE: dict[Path, object] = {}


def _opened(folder: Path):
    if folder not in _CACHE:
        _CACHE[folder] = open_bundle(folder)
    return _CACHE[folder]
