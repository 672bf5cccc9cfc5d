"""What a newcomer meets in the first hour: small odd data, wrong words, and a baseline that is better."""

import json

import pandas as pd
import pytest
from tests.strategies.conftest import flags, tiny

import underlay
from underlay.core import BundleRefused, DataError, MissingColumn, RecipeError, UsageError
from underlay.strategies import Recipe, fine_tune
from underlay.strategies.precision import remembered


def test_texts_of_emoji_or_single_letters_train_and_are_compared_with_a_baseline(tmp_path):
    fitted = fine_tune((["😀", "😡!"] * 30, ["up", "down"] * 30), recipe=tiny(), out=tmp_path / "emoji")
    assert len(fitted.report.targets[0].opponents) == 2
    fine_tune((["a", "b"] * 30, ["x", "y"] * 30), recipe=tiny(), out=tmp_path / "letters")


def test_a_frame_whose_columns_are_numbers_is_read(tmp_path):
    frame = pd.DataFrame([[f"some words {at}", "yes" if at % 2 else "no"] for at in range(60)])
    recipe = tiny("data.target=['1']", "data.columns={'0': text}")
    assert fine_tune(frame, recipe=recipe, out=tmp_path / "bundle").bundle.labels == ("no", "yes")


def test_wrong_kinds_of_values_are_errors_of_ours(tuned):
    model = underlay.Bundle(tuned[0].bundle)
    for wrong in (None, 5):
        with pytest.raises(UsageError, match="no list of values"):
            model.predict(wrong)
    with pytest.raises(MissingColumn, match=r"'text'; there is \['x'\]"):
        model.predict(pd.DataFrame({"x": ["a"]}))
    with pytest.raises(DataError, match="one value for each row"):
        underlay.fit((["a", "b"], None))
    with pytest.raises(UsageError, match="give a list"):
        underlay.fit("sample:tweets", settings="train.epochs=1")


@pytest.mark.parametrize("hollow", ["text", "label"])
def test_a_column_that_is_empty_in_every_row_is_called_empty_and_not_missing(hollow):
    frame = pd.DataFrame({"text": ["some words here"] * 40, "label": ["a", "b"] * 20})
    frame[hollow] = ""
    with pytest.raises(DataError, match=f"the column '{hollow}' of memory is empty"):
        fine_tune(frame, recipe=tiny())


def test_a_target_whose_values_are_all_different_is_asked_about():
    texts = [f"row {at} of many words" for at in range(60)]
    with pytest.raises(DataError, match="is this really the target"):
        fine_tune((texts, [f"label {at}" for at in range(60)]), recipe=tiny("data.task=multiclass"))


def test_one_wrong_setting_is_one_sentence():
    with pytest.raises(RecipeError) as refused:
        Recipe.load(overrides=["train.epochs=abc"])
    assert len(refused.value.problems) == 1


def test_a_folder_that_is_no_bundle_is_called_so(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleRefused, match="is no bundle"):
        underlay.load(tmp_path)


def test_a_choice_made_once_on_a_machine_is_kept_and_a_damaged_file_only_forgets(tmp_path):
    path = tmp_path / "cache" / "precision.json"
    assert remembered(path, "here", lambda: "bf16") == "bf16"
    assert remembered(path, "here", lambda: "fp32") == "bf16"
    assert remembered(path, "there", lambda: "fp32") == "fp32"
    assert json.loads(path.read_text(encoding="utf-8")) == {"here": "bf16", "there": "fp32"}
    path.write_text("{", encoding="utf-8")
    assert remembered(path, "here", lambda: "fp32") == "fp32"


def test_a_baseline_that_is_not_beaten_is_said_on_the_terminal(underlay, snippets):
    done = underlay("fit", str(snippets), "--out", "bundle", *flags())
    assert done.returncode == 0, done.stderr
    assert "mind: TF-IDF + logistic regression is" in done.stdout
