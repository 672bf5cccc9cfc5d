"""The public door: `fit`, `load`, the model they give, and a scikit-learn estimator."""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from underlay import bundle as artefact
from underlay.core import Listener, Schema, UsageError
from underlay.data import MISSING
from underlay.strategies.recipe import Recipe


class Bundle:
    """A model that answers raw values, with what was measured on it.

    Args:
        artefact: The bundle as it stands on disk.
        report: What the report of its training shows; None where it was loaded.
    """

    def __init__(self, artefact: "artefact.Bundle", report: Any = None) -> None:
        self.artefact = artefact
        self._report = report

    @property
    def path(self) -> Path:
        """Where it stands."""
        assert self.artefact.path is not None  # a bundle given out has been sealed
        return self.artefact.path

    @property
    def schema(self) -> Schema:
        """Columns and targets."""
        return self.artefact.schema

    @property
    def labels(self) -> tuple[str, ...]:
        """Names in the order of `predict_proba`'s columns."""
        return self.artefact.labels

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Figures on the test rows with 95 % intervals; by target where there are several."""
        found = self.artefact.metrics
        return dict(next(iter(found.values()))) if len(found) == 1 else found

    @property
    def history(self) -> list[Any]:
        """What training logged, one record a logging interval or validation."""
        return self.artefact.history

    def predict(self, values: Any, *, target: str | None = None) -> list[Any]:
        """Label names (or numbers), one a row; see `underlay.bundle.Bundle.predict`."""
        return self.artefact.predict(values, target=target)

    def predict_proba(self, values: Any, *, target: str | None = None) -> np.ndarray:
        """Calibrated probabilities `[N, K]`; see `underlay.bundle.Bundle.predict_proba`."""
        return self.artefact.predict_proba(values, target=target)

    def evaluate(self, data: Any, *, slices: Sequence[str] = ()) -> dict[str, Any]:
        """Figures with intervals on labelled data: `{"metrics": {...}, "n": ...}`."""
        from underlay.strategies.evaluation import evaluate

        return evaluate(self.artefact, data, slice_by=slices).to_dict()

    def report(self, data: Any = None) -> str:
        """A self-contained HTML page: of the training, or of `data`.

        Raises:
            UsageError: The bundle was loaded and no data is given.
        """
        from underlay.evaluate import render_report
        from underlay.strategies.evaluation import report_on
        from underlay.strategies.release import read_report
        from underlay.strategies.run_folder import RunFolder

        if data is not None:
            return render_report(report_on(self.artefact, data))
        known = self._report or read_report(RunFolder(self.path))
        if known is None:
            raise UsageError(
                f"the run beside {self.path} is gone, and its report with it", "give labelled data (--data FILE)"
            )
        return render_report(known)

    def save(self, folder: str | Path, *, force: bool = False) -> "Bundle":
        """The same bundle, byte for byte, in another folder."""
        return Bundle(artefact.save_copy(self.artefact, folder, force=force), self._report)

    def __repr__(self) -> str:
        targets = ", ".join(f"{target.name} ({target.task})" for target in self.schema.targets)
        return f"underlay.Bundle({str(self.path)!r}, target={targets})"


def fit(
    data: Any,
    target: str | Sequence[str] | None = None,
    *,
    recipe: Recipe | str | Path | None = None,
    preset: str | None = None,
    settings: Sequence[str] = (),
    test: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    objective: Any = None,
    listener: Listener | None = None,
) -> Bundle:
    """Fine-tune on labelled data and give the measured model.

    Args:
        data: A path, `sample:NAME`, a pandas, polars, Arrow or datasets table, or `(X, y)` lists.
        target: Column(s) to predict; inferred where that is safe.
        recipe: A recipe, or the path of one.
        preset: `fast`, `balanced` or `best`.
        settings: Single keys, `["train.epochs=1"]`.
        test: Test data of its own.
        out: Where the bundle will stand; where None a temporary folder, which goes with the model: `save` keeps it.
        resume: Go on with an unfinished run at `out`.
        force: Replace what stands at `out`.
        objective: What is minimised, in place of the recipe's.
        listener: Told what happens.

    Raises:
        UnderlayError: Anything a person can act on.
    """
    from underlay.strategies.fine_tune import fine_tune

    if isinstance(settings, str):
        raise UsageError(f"settings is the text {settings!r}", f"give a list: settings=[{settings!r}]")
    chosen = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe, preset=preset, overrides=settings)
    if target is not None:
        chosen = chosen.change({"data": {"target": target if isinstance(target, str) else list(target)}})
    temporary = Path(tempfile.mkdtemp(prefix="underlay-")) if out is None else None
    try:
        tuned = fine_tune(
            data,
            recipe=chosen,
            out=out if temporary is None else temporary / "bundle",
            test=test,
            resume=resume,
            force=force,
            objective=objective,
            listener=listener,
        )
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    model = Bundle(tuned.bundle, tuned.report)
    if temporary is not None:
        weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
    return model


def load(folder: str | Path) -> Bundle:
    """Open a bundle: every file checked, golden rows replayed.

    Raises:
        BundleRefused: It is not what it was when it was sealed.
    """
    return Bundle(artefact.open_bundle(folder))


class UnderlayClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A text classifier for scikit-learn's pipelines and cross-validation.

    Args:
        preset: `fast`, `balanced` or `best`.
        trunk: A packaged name, a folder, or a trunk from scratch.
        settings: Further recipe keys, `("train.epochs=1",)`.
        seed: Of every random number.
        out: Where the bundle will stand, in place of that of an earlier fit; a temporary folder where None.

    After `fit`, `classes_` holds the labels in their own type and `bundle_` the model.
    """

    def __init__(
        self,
        preset: str = "balanced",
        trunk: str = "auto",
        settings: Sequence[str] = (),
        seed: int = 0,
        out: str | None = None,
    ) -> None:
        self.preset = preset
        self.trunk = trunk
        self.settings = settings
        self.seed = seed
        self.out = out

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Fine-tune on texts and their labels.

        Args:
            X: Texts, `[N]` or one column `[N, 1]`.
            y: Labels, `[N]`.

        Raises:
            ValueError: X holds something else than texts, y is no column of labels, or their lengths differ.
            UnderlayError: Anything else a person can act on.
        """
        classes, index = classes_of(y)
        texts = texts_of(X)
        if len(texts) != len(index):
            raise ValueError(f"X has {len(texts)} rows and y has {len(index)}")
        names = label_names(classes)
        overrides = [
            f"seed={self.seed}",
            f"model.trunk={self.trunk}",
            "data.split.test=0",
            "data.suspects=false",
            *self.settings,
        ]
        recipe = Recipe.load(preset=self.preset, overrides=overrides)
        task = "binary" if len(names) == 2 else "multiclass"
        recipe = recipe.change({"data": {"target": "label", "columns": {"text": "text"}, "task": task}})
        table = {"text": texts, "label": [names[position] for position in index]}
        self.bundle_ = fit(_arrow(table), recipe=recipe, out=self.out, force=self.out is not None)
        self.classes_, self.n_features_in_ = classes, 1
        self._order = [names.index(name) for name in self.bundle_.labels]
        return self

    def __sklearn_tags__(self) -> Any:
        """Texts, one column of them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Calibrated probabilities `[N, K]`, columns as `classes_`."""
        check_is_fitted(self, "bundle_")
        found = np.zeros((len(texts := texts_of(X)), len(self.classes_)))
        if texts:
            found[:, self._order] = self.bundle_.predict_proba(texts)
        return found

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The likeliest class of each text, `[N]`."""
        scores = self.predict_proba(X)
        return np.asarray(self.classes_[scores.argmax(1)])


def classes_of(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels in order, and the position of each row's label among them.

    Raises:
        ValueError: There are no labels, some are missing, they are no classes, or there is one class only.

    >>> classes_of(["b", "a", "b"])[1].tolist()
    [1, 0, 1]
    """
    if labels is None:
        raise ValueError("This classifier requires y to be passed, but the target y is None.")
    column = column_or_1d(labels, warn=True)
    missing = np.flatnonzero([value is None or value != value for value in column])
    if len(missing):
        raise ValueError(f"row {missing[0]} of y is {column[missing[0]]!r}: {len(missing)} labels are missing")
    try:
        check_classification_targets(column)
        classes, index = np.unique(column, return_inverse=True)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in column})
        raise ValueError(f"y mixes labels that have no order ({', '.join(kinds)}); make them all texts") from None
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes[0]!r}; a classifier needs two" if len(classes) else "y is empty"
        )
    return classes, index


def label_names(classes: np.ndarray) -> list[str]:
    """Names for the bundle: the labels as written; numbers where a table would not keep them apart.

    >>> label_names(np.array([0, 1])), label_names(np.array(["", "a"]))
    (['0', '1'], ['000000', '000001'])
    """
    names = [str(value) for value in classes]
    plain = len({name.strip().casefold() for name in names}) == len(names) and not set(names) & set(MISSING)
    if plain and all(name == name.strip() for name in names):
        return names
    return [f"{position:06d}" for position in range(len(names))]


def texts_of(values: Any) -> list[str]:
    """One list of texts from a list, an array `[N]` or `[N, 1]`, a series or a frame of one column.

    Raises:
        ValueError: There are several columns, or values that are not texts.

    >>> texts_of(np.array([["one"], ["column"]]))
    ['one', 'column']
    """
    if hasattr(values, "tocsr"):
        raise ValueError(
            "X is a sparse matrix, the output of a vectorizer; sparse input is not supported, give the texts"
        )
    if hasattr(values, "to_pylist"):  # Arrow
        values = values.to_pylist()
    elif hasattr(values, "to_numpy"):  # pandas, polars
        values = values.to_numpy()
    if isinstance(values, str):
        raise ValueError("X is one text; give a list of texts")
    array = np.asarray(values, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"X has the shape {array.shape}; texts are [N] or one column [N, 1]")
    for row, value in enumerate(array):
        if not isinstance(value, str):
            raise ValueError(f"row {row} of X is {value!r} ({type(value).__name__}), not a text")
    return list(array)


def _arrow(columns: Mapping[str, Sequence[str]]) -> Any:
    import pyarrow as pa

    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
