"""P4, P5, P7, P8, P9, P10: accuracy of `underlay fit` on public tasks, the test part touched once a seed.

Whatever is chosen (epoch, temperature, threshold) is chosen on validation rows that `fit` holds out of the training
part, or on the official validation part (P9). `--on validation` measures on rows held out of the training part instead
of the test part: recipes are tuned that way.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import underlay
from benchmarks.command import Fitted, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import (
    WORK,
    Cut,
    DataAbsent,
    banking77,
    clinc150,
    held_out,
    held_out_sentences,
    imdb,
    imdb_few,
    phrasebank,
    sample,
    sst2,
)
from benchmarks.record import Results

RESULTS = Results("quality")
Values = Mapping[str, Any]


def accuracy(fitted: Fitted, cut: Cut) -> Values:
    """The figure `fit` reports, with its interval over test rows."""
    figures = {name: fitted.metrics[name]["value"] for name in ("accuracy", "macro_f1", "log_loss", "ece")}
    interval = {end: fitted.metrics["accuracy"][end] for end in ("low", "high")}
    return {**figures, **interval, "seconds": fitted.seconds, "train_rows": len(cut.train), "test_rows": len(cut.test)}


def out_of_scope(fitted: Fitted, cut: Cut) -> Values:
    """In-scope accuracy with rejection, and recall of out-of-scope queries, by a threshold on the confidence.

    The threshold is the one with the most right answers on the official validation part, `oos` being an answer.

    Source: Larson et al., An Evaluation Dataset for Intent Classification and Out-of-Scope Prediction, EMNLP 2019.
    """
    if cut.validation is None:
        raise ValueError("out-of-scope recall needs a validation part")
    bundle = underlay.load(fitted.bundle)
    sides = {}
    for name, rows in (("validation", cut.validation), ("test", cut.test)):
        probabilities = bundle.predict_proba(rows.text.tolist())
        names = np.array(bundle.labels)[probabilities.argmax(-1)]
        sides[name] = (probabilities.max(-1), names == rows.label.to_numpy(), rows.label.to_numpy() == "oos")
    threshold = best_threshold(*sides["validation"])
    confidence, right, outside = sides["test"]
    accepted = confidence >= threshold
    return {
        "accuracy": float((right & accepted)[~outside].mean()),
        "out_of_scope_recall": float((~accepted)[outside].mean()),
        "accuracy_without_rejection": float(right[~outside].mean()),
        "threshold": threshold,
        "seconds": fitted.seconds,
        "train_rows": len(cut.train),
        "test_rows": len(cut.test),
    }


def best_threshold(confidence: np.ndarray, right: np.ndarray, outside: np.ndarray) -> float:
    """The confidence below which rejecting gives the most right answers.

    >>> confidence, right = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, True, False, False])
    >>> float(best_threshold(confidence, right, np.array([False, False, True, True])))
    0.55
    """
    order = np.argsort(confidence)
    # Rejecting the k least confident rows: their `oos` rows become right, their right in-scope rows wrong.
    gain = np.concatenate([[0], np.cumsum(np.where(outside, 1, -right.astype(int))[order])])
    k = int(gain.argmax())
    edges = np.concatenate([[0.0], confidence[order], [1.0]])
    return float((edges[k] + edges[k + 1]) / 2) if k else 0.0


def _rows_held_out(cut: Cut) -> Cut:
    return held_out(cut, 0)


@dataclass(frozen=True)
class Experiment:
    """One row of the goals.

    Args:
        recipe: File under `recipes/`.
        cells: What is measured: arguments of `cut`, the `seed` among them.
        cut: Gives the rows of a cell.
        measure: Gives its figures.
        develop: Puts training rows in the test part's place.
    """

    recipe: str
    cells: tuple[Mapping[str, int], ...]
    cut: Callable[..., Cut]
    measure: Callable[[Fitted, Cut], Values] = accuracy
    develop: Callable[[Cut], Cut] = _rows_held_out


def _whole(cutter: Callable[[], Cut]) -> Callable[..., Cut]:
    return lambda seed: cutter()


SEEDS = tuple({"seed": seed} for seed in range(3))
FOLDS = tuple({"seed": seed, "fold": fold} for seed in range(3) for fold in range(5))
EXPERIMENTS: Mapping[str, Experiment] = {
    "P4": Experiment("imdb", SEEDS[:1], _whole(imdb)),
    "P5": Experiment("imdb_few", SEEDS, imdb_few),
    "P7": Experiment("sst2", SEEDS, _whole(sst2), develop=held_out_sentences),
    "P8-full": Experiment("banking77", SEEDS, _whole(banking77)),
    "P8-10": Experiment("banking77_few", SEEDS, partial(banking77, per_class=10)),
    "P9": Experiment("clinc150", SEEDS, _whole(clinc150), out_of_scope),
    "P10-50": Experiment("phrasebank", FOLDS, partial(phrasebank, 50)),
    "P10-100": Experiment("phrasebank", FOLDS, partial(phrasebank, 100)),
}


def measure_cell(name: str, arguments: Mapping[str, int], options: argparse.Namespace) -> Values:
    """One fit and its figures; from the result file if they are there.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the set.
    """
    experiment = EXPERIMENTS[name]
    recipe = recipe_file(experiment.recipe)
    cell = {**arguments, "recipe": recipe_digest(recipe, options.set), **development(options)}
    known = RESULTS.find(name, cell)
    if known is not None and not options.again:
        return dict(known["values"])
    cut = experiment.cut(**arguments)
    if options.on == "validation":
        cut = experiment.develop(cut)
    validation = None if cut.validation is None else sample(cut.validation, options.test_rows, 0)
    cut = Cut(sample(cut.train, options.rows, 0), sample(cut.test, options.test_rows, 0), validation)
    # `fit` measures on labels it knows; out-of-scope rows are for the threshold alone.
    known_labels = Cut(cut.train, cut.test[cut.test.label.isin(set(cut.train.label))])
    train, test = known_labels.write(WORK / name)
    fitted = fit(train, test, recipe=recipe, out=WORK / f"{name}-bundle", seed=arguments["seed"], overrides=options.set)
    values = experiment.measure(fitted, cut)
    RESULTS.append(name, cell, values)
    if not options.keep:
        remove(fitted)
    return values


def development(options: argparse.Namespace) -> dict[str, Any]:
    """What marks a cell as none of the claimed figures."""
    limits = {"rows": options.rows, "test_rows": options.test_rows, "on": options.on, "set": options.set or None}
    limits = {key: value for key, value in limits.items() if value not in (None, "test")}
    return {"development": limits} if limits else {}


def main(words: list[str] | None = None) -> None:
    """Measure the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(EXPERIMENTS), help=f"of {', '.join(EXPERIMENTS)}")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    parser.add_argument("--folds", type=int, nargs="+", help="only these")
    parser.add_argument("--on", choices=["test", "validation"], default="test")
    parser.add_argument("--rows", type=int, help="development: so many training rows")
    parser.add_argument("--test-rows", type=int, help="development: so many test rows")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    parser.add_argument("--again", action="store_true", help="measure cells that are there")
    parser.add_argument("--keep", action="store_true", help=f"leave the bundles in {WORK}")
    options = parser.parse_args(words)
    for name in options.names:
        for cell in EXPERIMENTS[name].cells:
            if options.seeds and cell["seed"] not in options.seeds:
                continue
            if options.folds and cell.get("fold", 0) not in options.folds:
                continue
            try:
                values = measure_cell(name, cell, options)
            except DataAbsent as absent:
                print(f"{name}: skipped: {absent}", flush=True)
                break
            print(f"{name} {dict(cell)}: {show(values)}", flush=True)


def show(values: Values) -> str:
    """One line."""
    return ", ".join(f"{key} {value:.4g}" for key, value in values.items() if isinstance(value, float))


if __name__ == "__main__":
    main()
