"""The Python door: `fit`, the model it gives, and the scikit-learn estimator where scikit-learn puts it."""

import gc
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tests.strategies.conftest import TINY

import underlay
from underlay import UnderlayClassifier
from underlay.core import DataError, OutputExists, RecipeError, RowError, UnderlayError, UsageError
from underlay.objectives import LossTerm, Objective, cross_entropy

SETTINGS = tuple(setting for setting in TINY if not setting.startswith("model.trunk"))
TEXTS = [f"{'a wonderful, quiet' if at % 2 else 'a dull, loud'} film, number {at}" for at in range(48)]
SIDES = ["good" if at % 2 else "bad" for at in range(48)]
FIT = {"settings": [*TINY, "train.epochs=4", "train.learning_rate=0.01"]}


def tiny(**changes):
    settings = (*SETTINGS, "train.epochs=4", "train.learning_rate=0.01")
    return UnderlayClassifier(**{"trunk": "convolution", "settings": settings, **changes})


@pytest.fixture(scope="module")
def fitted():
    return tiny().fit(TEXTS, SIDES)


@pytest.fixture(scope="module")
def model():
    return underlay.fit((TEXTS, SIDES), **FIT)


# scikit-learn's own checks, on numbers, are in test_estimator_checks.py.


def test_its_tags_say_what_it_reads():
    tags = tiny().__sklearn_tags__()
    assert (tags.estimator_type, tags.target_tags.required) == ("classifier", True)
    assert tags.input_tags.string
    assert tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan
    assert not tags.input_tags.sparse


def test_parameters_are_set_and_cloned_and_a_clone_is_not_fitted(fitted):
    copy = clone(fitted).set_params(seed=7, preset="fast")
    assert copy.get_params() == {**fitted.get_params(), "seed": 7, "preset": "fast"}
    with pytest.raises(NotFittedError):
        copy.predict(TEXTS)
    with pytest.raises(ValueError, match="Invalid parameter 'trnk'"):
        copy.set_params(trnk="minilm")


@pytest.mark.parametrize(
    "labels",
    [
        [7 if at % 2 else -3 for at in range(48)],
        [bool(at % 2) for at in range(48)],
        ["10" if at % 2 else "9" for at in range(48)],
        [float(at % 2) for at in range(48)],
        ["NA" if at % 2 else " x " for at in range(48)],
    ],
    ids=["integers", "booleans", "digits as text", "whole floats", "texts that a table reads as missing"],
)
def test_labels_come_back_in_their_own_type_and_probabilities_in_the_order_of_classes(labels):
    classifier = tiny().fit(TEXTS, labels)
    kind = np.asarray(labels).dtype
    said = classifier.predict(TEXTS)
    assert said.dtype == classifier.classes_.dtype == kind
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    probabilities = classifier.predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(1)], said)
    assert classifier.score(TEXTS, labels) > 0.9


def test_the_bundle_carries_the_labels_by_name_and_many_numbers_are_still_classes():
    classes = [10 * (at % 12) for at in range(48)]
    classifier = tiny().fit(TEXTS, classes)
    assert classifier.bundle_.labels == tuple(str(10 * at) for at in range(12))
    assert classifier.predict_proba(TEXTS[:2]).shape == (2, 12)
    assert set(classifier.predict(TEXTS)) <= set(classes)


@pytest.mark.parametrize(
    "wrap",
    [
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object)[:, None],
        pd.Series,
        lambda texts: pd.Series(texts, index=range(100, 100 + len(texts))).astype("category"),
        lambda texts: pd.DataFrame({"review": texts}),
        pl.Series,
        lambda texts: pl.DataFrame({"review": texts}),
        pa.array,
    ],
    ids=["tuple", "array", "column", "pandas", "categories", "pandas frame", "polars", "polars frame", "arrow"],
)
def test_every_column_of_texts_is_read_alike(fitted, wrap):
    np.testing.assert_allclose(fitted.predict_proba(wrap(TEXTS[:6])), fitted.predict_proba(TEXTS[:6]), atol=1e-6)


def test_series_are_fitted_on_and_no_text_asks_for_no_answer(fitted):
    again = tiny().fit(pd.Series(TEXTS), pd.Series(SIDES, index=range(10, 58)))
    np.testing.assert_allclose(again.predict_proba(TEXTS[:5]), fitted.predict_proba(TEXTS[:5]), atol=1e-6)
    assert fitted.predict_proba([]).shape == (0, 2)
    assert fitted.predict([]).shape == (0,)


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ("one text", ["a", "b"], "X is one text; give a list of texts"),
        ([1, 2], ["a", "b"], r"row 0 of X is 1 \(int\), not a text"),
        (["x", None], ["a", "b"], "row 1 of X is None"),
        (np.zeros((2, 3, 1)), ["a", "b"], "dim 3"),
        (csr_matrix(np.eye(2)), ["a", "b"], "sparse input is not supported, give the texts"),
        (pd.DataFrame({"one": [None, None], "two": [None, None]}), ["a", "b"], "all 2 columns of X are empty"),
        (["x", "y"], ["a", "b", "c"], "X has 2 rows and y has 3"),
        (["x", "y"], ["a", "a"], "one class only, .*'a'"),
        (["x", "y"], ["a", None], "row 1 of y is None"),
        (["x", "y", "z"], [0.25, 0.5, 0.7], "Unknown label type: continuous"),
        (["x", "y"], [[0, 1], [1, 0]], "1d array"),
        (["x", "y"], None, "y is None"),
        ([], [], "y is empty"),
    ],
)
def test_what_it_cannot_learn_from_is_a_value_error_that_says_so(texts, labels, message):
    with pytest.raises(ValueError, match=message):
        tiny().fit(texts, labels)


def test_labels_without_an_order_are_refused():
    labels = np.array(["a", 1] * 5, dtype=object)
    with pytest.raises(ValueError, match=r"mixes labels that have no order \(int, str\)"):
        tiny().fit(TEXTS[:10], labels)


def test_a_setting_that_does_not_exist_is_named():
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        tiny(settings=("train.epohcs=1",)).fit(TEXTS, SIDES)


def test_a_text_without_content_is_refused_with_its_place(fitted):
    with pytest.raises(RowError, match="first at position 1: the text is empty"):
        fitted.predict(["fine", " \n"])


def test_the_order_and_the_number_of_rows_change_no_answer(fitted):
    whole, order = fitted.predict_proba(TEXTS), np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_allclose(fitted.predict_proba([TEXTS[row] for row in order]), whole[order], atol=1e-6)
    alone = np.concatenate([fitted.predict_proba([text]) for text in TEXTS[:8]])
    np.testing.assert_allclose(alone, whole[:8], atol=1e-6)


def test_fitting_again_gives_the_same_and_changes_no_parameter(fitted):
    again, before = clone(fitted), repr(fitted.get_params())
    np.testing.assert_array_equal(again.fit(TEXTS, SIDES).predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert repr(again.get_params()) == before
    third = again.fit(TEXTS[:40], [1, 0] * 20)
    assert third is again
    assert third.classes_.tolist() == [0, 1]


def test_a_fitted_one_survives_a_pickle_between_the_processes_of_a_search(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(copy.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-6)
    assert copy.predict(TEXTS).tolist() == fitted.predict(TEXTS).tolist()


def test_it_ends_a_pipeline_and_its_settings_are_reached_through_it():
    shout = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    pipeline = Pipeline([("shout", shout), ("underlay", tiny())]).set_params(underlay__seed=3)
    assert pipeline.fit(TEXTS, SIDES).named_steps["underlay"].seed == 3
    assert pipeline.score(TEXTS, SIDES) > 0.8
    with pytest.raises(ValueError, match="sparse"):
        make_pipeline(TfidfVectorizer(), tiny()).fit(TEXTS, SIDES)


@pytest.mark.parametrize("wrap", [list, pd.Series, lambda texts: pl.DataFrame({"text": texts})])
def test_cross_validation_scores_every_fold(wrap):
    scores = cross_val_score(tiny(), wrap(TEXTS), SIDES, cv=2, error_score="raise")
    assert scores.shape == (2,)
    assert (scores > 0.5).all()


def test_a_grid_search_over_a_setting_picks_one_and_refits():
    never, enough = (*SETTINGS, "train.epochs=1", "train.learning_rate=1e-9"), tiny().settings
    search = GridSearchCV(tiny(), {"settings": [never, enough]}, cv=2, error_score="raise").fit(TEXTS, SIDES)
    assert search.best_params_["settings"] == enough
    assert search.best_estimator_.predict(["a wonderful, quiet film"]).tolist() == ["good"]


def test_the_bundle_of_an_estimator_stands_where_it_was_asked_to_and_a_second_fit_replaces_it(tmp_path):
    classifier = tiny(out=str(tmp_path / "bundle")).fit(TEXTS, SIDES)
    first = underlay.load(tmp_path / "bundle")
    assert first.labels == ("bad", "good")
    assert first.predict(TEXTS[:4]) == classifier.predict(TEXTS[:4]).tolist()
    classifier.fit(TEXTS, [1, 0] * 24)
    assert underlay.load(tmp_path / "bundle").labels == ("0", "1")


# underlay.fit and the model it gives.


def table():
    return {"review": TEXTS, "side": SIDES}


def datasets_table(columns):
    datasets = pytest.importorskip("datasets", reason="the extra hf is not installed")
    return datasets.Dataset.from_dict(columns)


@pytest.mark.parametrize(
    "make",
    [pd.DataFrame, pl.DataFrame, lambda columns: pl.DataFrame(columns).lazy(), pa.table, datasets_table, dict],
    ids=["pandas", "polars", "polars lazy", "arrow", "datasets", "columns"],
)
def test_every_table_gives_the_same_model(make, tmp_path):
    fitted = underlay.fit(make(table()), target="side", **FIT)
    expected = underlay.fit(pd.DataFrame(table()), target="side", **FIT)
    assert fitted.labels == ("bad", "good")
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), expected.predict_proba(TEXTS))
    assert [column.name for column in fitted.schema.columns] == ["review"]


def test_a_pair_of_lists_is_texts_and_labels(model):
    assert repr(model).startswith("underlay.Bundle(")
    assert model.labels == ("bad", "good")
    assert model.predict(["a wonderful, quiet film", "a dull, loud film"]) == ["good", "bad"]
    probabilities = model.predict_proba(TEXTS)
    assert probabilities.shape == (48, 2)
    assert set(model.metrics) >= {"accuracy", "macro_f1", "n"}
    assert any("epoch" in record for record in model.history)


def test_an_objective_takes_the_place_of_the_recipes(tmp_path):
    seen = []

    def calm(step):
        probabilities = step.output.logit().log_softmax(-1)
        seen.append(step.number)
        return (probabilities.exp() * probabilities).sum(-1).mean()

    term = LossTerm(lambda model: {}, lambda state, step: (calm(step), state))
    plain = underlay.fit((TEXTS, SIDES), **FIT)
    calmed = underlay.fit(
        pd.DataFrame(table()),
        target="side",
        objective=Objective({"task": cross_entropy(), "calm": term}, weights={"calm": 20.0}),
        **FIT,
    )
    assert seen
    assert (
        calmed.artefact.answer({"review": TEXTS}).logits["side"].std()
        < plain.artefact.answer({"text": TEXTS}).logits["label"].std()
    )


def test_more_data_is_measured_with_intervals_and_by_slices(model, tmp_path):
    rows = pd.DataFrame({"text": TEXTS[:20], "label": SIDES[:20], "shop": ["one", "other"] * 10})
    found = model.evaluate(rows, slices=["shop"])
    figure = found["metrics"]["accuracy"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    said = model.predict(TEXTS[:20])
    assert figure["value"] == pytest.approx(
        np.mean([one == other for one, other in zip(said, SIDES[:20], strict=True)])
    )
    assert found["n"] == 20
    assert {part["name"] for part in found["slices"]} == {"one", "other"}
    rows.to_csv(tmp_path / "more.csv", index=False)
    assert model.evaluate(tmp_path / "more.csv")["metrics"]["accuracy"] == figure


def test_data_without_the_columns_or_with_a_strange_label_is_refused(model):
    with pytest.raises(UnderlayError, match="text"):
        model.evaluate(pd.DataFrame({"review": TEXTS, "label": SIDES}))
    with pytest.raises(DataError, match="'ugly', none of the 2 labels"):
        model.evaluate((TEXTS[:4], ["ugly", "good", "bad", "good"]))


def test_the_report_is_one_page_of_the_training_or_of_other_data(model, tmp_path):
    trained, other = model.report(), model.report((TEXTS[:30], SIDES[:30]))
    for page in (trained, other):
        assert page.lstrip().lower().startswith("<!doctype html>")
        assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Majority class" in trained
    with pytest.raises(UsageError, match="give labelled data"):
        model.save(tmp_path / "kept")
        underlay.load(tmp_path / "kept").report()


def test_a_saved_model_is_the_same_and_nothing_is_overwritten_unasked(model, tmp_path):
    kept = model.save(tmp_path / "kept")
    again = underlay.load(tmp_path / "kept")
    assert kept.path == again.path == tmp_path / "kept"
    assert (again.path / "manifest.json").read_bytes() == (model.path / "manifest.json").read_bytes()
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert again.metrics == model.metrics
    with pytest.raises(OutputExists):
        model.save(tmp_path / "kept")
    model.save(tmp_path / "kept", force=True)


def test_a_temporary_model_leaves_nothing_behind_once_it_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = underlay.fit((TEXTS, SIDES), **FIT)
    folder = model.path.parent
    assert folder.parent == tmp_path
    kept = model.save(tmp_path / "kept")
    del model
    gc.collect()
    assert not folder.exists()
    assert kept.predict(TEXTS[:1]) == ["bad"]
    with pytest.raises(DataError):
        underlay.fit((TEXTS, ["same"] * 48), **FIT)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        ((TEXTS, SIDES[:3]), {}, DataError),
        ((np.zeros((4, 2)), [0, 1, 0, 1]), {}, UsageError),
        (42, {}, UsageError),
        ("missing.csv", {}, UnderlayError),
        (pd.DataFrame({"review": TEXTS, "side": SIDES}), {"target": "sides"}, UnderlayError),
        ((TEXTS, SIDES), {"preset": "fastest"}, RecipeError),
        ((TEXTS, SIDES), {"recipe": Path("missing.yaml")}, UsageError),
    ],
    ids=["lengths", "an array", "a number", "no file", "no column", "no preset", "no recipe"],
)
def test_what_cannot_be_fitted_says_what_to_do(data, options, error):
    with pytest.raises(error) as refused:
        underlay.fit(data, **{**FIT, **options})
    assert refused.value.do
