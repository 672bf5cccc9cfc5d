"""The public door: `fit`, `distil`, `load`, the model they give, and a scikit-learn estimator."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from underlay import bundle as artefact
from underlay.core import Listener, Schema, UsageError
from underlay.data import MISSING, Table, open_table
from underlay.data.features import columns_of, holds_words, is_one_column_of_texts, is_sparse, kinds_of
from underlay.strategies.recipe import Recipe

TEXT, NUMBERS, MIXED = "text", "numbers", "mixed"
"""What X can be."""

SPARSE = (
    "X is a sparse matrix, the output of a vectorizer; sparse input is not supported, give the texts or dense numbers"
)


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
    return _published(
        out,
        lambda place: fine_tune(
            data,
            recipe=chosen,
            out=place,
            test=test,
            resume=resume,
            force=force,
            objective=objective,
            listener=listener,
        ),
    )


def distil(
    teacher: Bundle | str | Path | Sequence[Bundle | str | Path],
    data: Any,
    student: Recipe | str,
    *,
    unlabelled: Any = None,
    settings: Sequence[str] = (),
    test: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    listener: Listener | None = None,
) -> Bundle:
    """Teach a small model to answer as a large one does, and give it measured.

    Args:
        teacher: A model or its folder, or several: the mean of their calibrated log-probabilities teaches.
        data: Labelled rows, as for `fit`; their labels are the teacher's.
        student: `layers:N` (of the teacher's own), a trunk (`bag`, `convolution`, `recurrent`, `transformer`), the path
            of a recipe, or a recipe.
        unlabelled: Further rows without labels, which the teacher alone teaches.
        settings: Single keys of the student's recipe, `["train.epochs=1"]`.
        test: Test data of its own.
        out: Where the bundle will stand; where None a temporary folder, which goes with the model: `save` keeps it.
        resume: Go on with an unfinished run at `out`.
        force: Replace what stands at `out`.
        listener: Told what happens.

    Raises:
        UnderlayError: Anything a person can act on; see `strategies.distil`.
    """
    from underlay.strategies.distil import distil as run
    from underlay.strategies.students import student_recipe

    if isinstance(settings, str):
        raise UsageError(f"settings is the text {settings!r}", f"give a list: settings=[{settings!r}]")
    given = [teacher] if isinstance(teacher, Bundle | str | Path) else list(teacher)
    teachers = [one.artefact if isinstance(one, Bundle) else artefact.open_bundle(one) for one in given]
    recipe = student if isinstance(student, Recipe) else student_recipe(student, settings=settings)
    return _published(
        out,
        lambda place: run(
            teachers,
            data,
            student=recipe,
            unlabelled=unlabelled,
            out=place,
            test=test,
            resume=resume,
            force=force,
            listener=listener,
        ),
    )


def _published(out: str | Path | None, run: Callable[[str | Path], Any]) -> Bundle:
    """The model of a run; one without a place of its own stands in a temporary folder that goes with it."""
    if out is not None:
        tuned = run(out)
        return Bundle(tuned.bundle, tuned.report)
    temporary = Path(tempfile.mkdtemp(prefix="underlay-"))
    try:
        tuned = run(temporary / "bundle")
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    model = Bundle(tuned.bundle, tuned.report)
    weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
    return model


def load(folder: str | Path) -> Bundle:
    """Open a bundle: every file checked, golden rows replayed.

    Raises:
        BundleRefused: It is not what it was when it was sealed.
    """
    return Bundle(artefact.open_bundle(folder))


class UnderlayClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of texts, of numbers and of mixed columns, for scikit-learn's pipelines and cross-validation.

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
        """Fine-tune on rows and their labels.

        Args:
            X: Texts, `[N]` or one column `[N, 1]`; an array of numbers `[N, F]`, NaN where one is missing; or a frame,
                each column of which is read as text, or as numbers or categories.
            y: Labels, `[N]`.

        Raises:
            ValueError: X is none of these, y is no column of labels, or their lengths differ.
            UnderlayError: Anything else a person can act on.
        """
        classes, index = classes_of(y)
        self._form, table = self._begin(X)
        if len(table) != len(index):
            raise ValueError(f"X has {len(table)} rows and y has {len(index)}")
        names = label_names(classes)
        kinds = {TEXT: TEXT} if self._form == TEXT else kinds_of(table)
        if not kinds:
            raise ValueError(f"all {len(table.columns)} columns of X are empty")
        target = next(name for name in ("label", "label_", "label__") if name not in table.columns)
        overrides = [
            f"seed={self.seed}",
            f"model.trunk={self.trunk}",
            "data.split.test=0",
            "data.suspects=false",
            *self.settings,
        ]
        recipe = Recipe.load(preset=self.preset, overrides=overrides)
        task = "binary" if len(names) == 2 else "multiclass"
        recipe = recipe.change({"data": {"target": target, "columns": kinds, "task": task}})
        labelled = _labelled(table, target, [names[position] for position in index])
        self.bundle_ = fit(labelled, recipe=recipe, out=self.out, force=self.out is not None)
        self.classes_ = classes
        self._order = [names.index(name) for name in self.bundle_.labels]
        return self

    def __sklearn_tags__(self) -> Any:
        """Texts, numbers and categories, some of them missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Calibrated probabilities `[N, K]`, columns as `classes_`."""
        check_is_fitted(self, "bundle_")
        table = self._again(X)
        found = np.zeros((len(table), len(self.classes_)))
        if len(table):
            read = {column.name: table.values(column.name) for column in self.bundle_.schema.columns}
            found[:, self._order] = self.bundle_.predict_proba(read)
        return found

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The likeliest class of each row, `[N]`."""
        scores = self.predict_proba(X)
        return np.asarray(self.classes_[scores.argmax(1)])

    def _begin(self, X: Any) -> tuple[str, Table]:  # noqa: N803
        """What X is, and its columns; remembers their number and names."""
        if is_sparse(X):
            raise ValueError(SPARSE)
        if is_one_column_of_texts(X):
            self.n_features_in_ = 1
            return TEXT, open_table({TEXT: texts_of(X)})
        if holds_words(X):
            validate_data(self, X, skip_check_array=True)
            return MIXED, columns_of(X)
        return NUMBERS, self._numbers(X, reset=True)

    def _again(self, X: Any) -> Table:  # noqa: N803
        """The columns of an X like the one that was fitted on."""
        if is_sparse(X):
            raise ValueError(SPARSE)
        if self._form == TEXT:
            return open_table({TEXT: texts_of(X)})
        if self._form == NUMBERS:
            return self._numbers(X, reset=False)
        validate_data(self, X, reset=False, skip_check_array=True)
        return columns_of(X)

    def _numbers(self, X: Any, *, reset: bool) -> Table:  # noqa: N803
        matrix = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        named = getattr(self, "feature_names_in_", None)
        return columns_of(matrix, names=None if named is None else named.tolist())


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
    if is_sparse(values):
        raise ValueError(SPARSE)
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


def _labelled(table: Table, target: str, labels: Sequence[str]) -> Any:
    import pyarrow as pa

    return table.arrow.append_column(target, pa.array(labels, pa.string()))
