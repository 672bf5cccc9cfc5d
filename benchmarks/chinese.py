"""Chinese: the character convolution and recurrent trunks against character TF-IDF, on `sample:zh-reviews`.

Both arms read the same 6,000 training rows of a seed and answer the same 2,000 test rows; the baseline is the one that
`underlay fit` itself reports. With `--set`, rows held out of the training part take the place of the test part.
"""

import argparse
from math import sqrt
from statistics import mean, stdev
from typing import Any

import pandas as pd
from scipy.stats import t
from sklearn.model_selection import train_test_split

from benchmarks.command import Fitted, fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, Cut, held_out
from benchmarks.record import Results
from underlay.data import open_table

RESULTS = Results("chinese")
LINEAR = "TF-IDF + logistic regression"
TRUNKS = ("convolution", "recurrent")
SEEDS, TRAIN_ROWS, TEST_ROWS = 3, 6000, 2000


def zh_reviews(seed: int) -> Cut:
    """Rows drawn by class and seed; of equal texts, whatever their label, only the first is kept."""
    table = open_table("sample:zh-reviews")
    rows = pd.DataFrame({"text": table.values("text"), "label": table.values("label")})
    rows = rows[~rows.text.str.split().str.join("").duplicated()]
    train, test = train_test_split(
        rows, train_size=TRAIN_ROWS, test_size=TEST_ROWS, random_state=seed, stratify=rows.label
    )
    return Cut(train, test)


def values(fitted: Fitted, cut: Cut) -> dict[str, Any]:
    """Figures of both arms, each with its interval over test rows."""
    linear = fitted.summary["baselines"][LINEAR]["metrics"]
    found: dict[str, Any] = {"train_rows": len(cut.train), "test_rows": len(cut.test), "seconds": fitted.seconds}
    for name in ("accuracy", "macro_f1"):
        found |= {name: fitted.metrics[name]["value"], f"linear_{name}": linear[name]["value"]}
    for arm, figures in (("", fitted.metrics), ("linear_", linear)):
        found |= {f"{arm}{end}": figures["accuracy"][end] for end in ("low", "high")}
    return {**found, "gain": found["accuracy"] - found["linear_accuracy"]}


def spread(gains: list[float]) -> str:
    """The mean with its 95 % t-interval over seeds.

    >>> spread([0.01, 0.02, 0.03])
    '+0.0200 (-0.0048 to +0.0448)'
    """
    half = float(t.ppf(0.975, len(gains) - 1)) * stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else float("nan")
    return f"{mean(gains):+.4f} ({mean(gains) - half:+.4f} to {mean(gains) + half:+.4f})"


def main(words: list[str] | None = None) -> None:
    """Measure the cells that are missing and say how each trunk stands against the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--trunks", nargs="+", default=TRUNKS, choices=TRUNKS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="development: of the recipe")
    options = parser.parse_args(words)
    marks = {"development": {"set": options.set}} if options.set else {}
    recipe = recipe_file("chinese")
    for trunk in options.trunks:
        gains = []
        for seed in range(options.seeds):
            cell = {"seed": seed, "recipe": recipe_digest(recipe, options.set), **marks}
            entry = RESULTS.find(f"zh-{trunk}", cell)
            if entry is None:
                cut = held_out(zh_reviews(seed), seed, share=0.2) if options.set else zh_reviews(seed)
                train, test = cut.write(WORK / "zh")
                overrides = [f"model.trunk={trunk}", *options.set]
                fitted = fit(train, test, recipe=recipe, out=WORK / "zh-bundle", seed=seed, overrides=overrides)
                entry = RESULTS.append(f"zh-{trunk}", cell, values(fitted, cut))
                remove(fitted)
            gains.append(entry["values"]["gain"])
            print(f"zh-{trunk} seed {seed}: {entry['values']}", flush=True)
        print(f"zh-{trunk}: accuracy over character TF-IDF {spread(gains)}", flush=True)


if __name__ == "__main__":
    main()
