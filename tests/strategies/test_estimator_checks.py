"""All of scikit-learn's own checks on a small model of numbers; none is left out or expected to fail."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from underlay import UnderlayClassifier

FREE = (
    "train.early_stopping=0",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)
SETTINGS = (
    "model.options={width: 8, depth: 1, heads: 1, inner: 16}",
    "train.epochs=12",
    "train.learning_rate=0.03",
    *FREE,
)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks([UnderlayClassifier(settings=SETTINGS)])
def test_it_passes_scikit_learns_check(estimator, check):
    check(estimator)


def test_iris_in_a_pipeline_is_cross_validated_well_above_chance():
    values, kinds = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), UnderlayClassifier(settings=SETTINGS))
    scores = cross_val_score(pipeline, values, kinds, cv=3, error_score="raise")
    assert scores.mean() > 0.85


def shop(rows=160):
    """What is kept depends on a text, on a number and on a category."""
    rng = np.random.default_rng(0)
    price, north, fine = rng.lognormal(3, 1, rows), rng.random(rows) < 0.5, rng.random(rows) < 0.5
    frame = pd.DataFrame({
        "review": [f"a {'fine' if good else 'poor'} thing of its kind, number {at}" for at, good in enumerate(fine)],
        "price": np.where(rng.random(rows) < 0.1, np.nan, price),
        "shop": pd.Categorical(np.where(north, "north", "south")),
        "empty": [None] * rows,
    })  # fmt: skip
    return frame, np.where((price < 20).astype(int) + north + fine >= 2, "keep", "return")


def mixed(**changes):
    few = ("train.epochs=20", "train.learning_rate=0.01", "model.branches={text: convolution}", *FREE)
    return UnderlayClassifier(**{"settings": few, **changes})


@pytest.fixture(scope="module")
def fitted():
    return mixed().fit(*shop())


def test_a_frame_of_mixed_columns_is_read_column_by_column(fitted):
    frame, kept = shop()
    kinds = {column.name: column.modality for column in fitted.bundle_.schema.columns}
    assert kinds == {"review": "text", "price": "table", "shop": "table"}
    assert fitted.feature_names_in_.tolist() == list(frame.columns)
    assert fitted.n_features_in_ == 4
    assert fitted.score(frame, kept) > 0.8


def test_frames_of_other_libraries_give_the_same_and_arrays_of_objects_are_read_alike(fitted):
    frame, kept = shop()
    expected = fitted.predict_proba(frame.head(9))
    plain = frame.assign(shop=frame["shop"].astype(str))
    np.testing.assert_allclose(fitted.predict_proba(pl.from_pandas(plain).head(9)), expected, atol=1e-6)
    objects = plain.astype(object).where(plain.notna(), None).to_numpy()
    again = mixed().fit(objects, kept)
    assert [column.name for column in again.bundle_.schema.columns] == ["x0", "x1", "x2"]
    assert again.score(objects, kept) > 0.8  # other names, so other first values


def test_a_frame_that_lacks_a_column_or_has_them_in_another_order_is_refused(fitted):
    frame, _ = shop()
    with pytest.raises(ValueError, match="Feature names"):
        fitted.predict(frame.drop(columns="price"))
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(frame[["price", "review", "shop", "empty"]])
    with pytest.raises(NotFittedError):
        mixed().predict(frame)


def test_a_column_called_as_the_target_would_be_is_read_like_others():
    rows = pd.DataFrame({"label": np.arange(40) % 2 * 5.0, "size": np.arange(40) * 1.0})
    found = UnderlayClassifier(settings=SETTINGS).fit(rows, np.arange(40) % 2)
    assert [column.name for column in found.bundle_.schema.columns] == ["label", "size"]
    assert found.score(rows, np.arange(40) % 2) == 1.0


def test_missing_numbers_are_answered_and_whole_columns_of_them_left_out():
    values, kinds = load_iris(return_X_y=True)
    values[::7, 0] = np.nan
    values = np.column_stack([values, np.full(len(values), np.nan)])
    found = UnderlayClassifier(settings=SETTINGS).fit(values, kinds)
    assert len(found.bundle_.schema.columns) == 4
    assert np.isfinite(found.predict_proba(np.full((3, 5), np.nan))).all()
    with pytest.raises(ValueError, match="all 2 columns of X are empty"):
        UnderlayClassifier(settings=SETTINGS).fit(np.full((9, 2), np.nan), np.arange(9) % 2)


def test_sparse_numbers_are_refused_with_what_to_give(fitted):
    with pytest.raises(ValueError, match="sparse input is not supported, give the texts or dense numbers"):
        mixed().fit(csr_matrix(np.eye(4)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="sparse"):
        fitted.predict(csr_matrix(np.eye(4)))
