"""F1 of named entities on WNUT-17, the official test part, beside the dictionary of the training words.

Learns from the official training part alone, a tenth of which is held out to choose the epoch and to calibrate; the
official development part is left alone. Spans count as the CoNLL evaluation counts them: both ends and the kind right.
Entities of the test part hardly occur in the training part, which is what the set was made for.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.command import fit, recipe_digest, recipe_file, remove
from benchmarks.datasets import WORK, DataAbsent, read
from benchmarks.record import Results

RESULTS = Results("tagging")
BENCHMARK = "wnut17"
FIGURES = ("f1", "precision", "recall", "macro_f1", "token_accuracy")
SEEDS = range(3)


def write(folder: Path, rows: int | None = None) -> tuple[Path, Path]:
    """Save the official training part, or its first `rows`, and the test part; the tags in a column `label`.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold the set.
    """
    table = read("wnut17").rename(columns={"tags": "label"})
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, most in (("train", rows), ("test", None)):
        part = table[table.split == split].reset_index(drop=True)
        path = folder / f"{split}.parquet"
        part[["tokens", "label"]][:most].to_parquet(path, index=False)
        paths.append(path)
    return paths[0], paths[1]


def measure_cell(seed: int, *, trunk: str, rows: int | None, again: bool = False) -> Mapping[str, Any]:
    """One seed; from the result file if it is there.

    Raises:
        DataAbsent: The set is not there.
    """
    recipe = recipe_file("tagging")
    cell: dict[str, Any] = {"seed": seed, "trunk": trunk, "recipe": recipe_digest(recipe)}
    if rows is not None:
        cell |= {"development": True, "rows": rows}
    known = RESULTS.find(BENCHMARK, cell)
    if known is not None and not again:
        return dict(known["values"])
    train, test = write(WORK / f"{BENCHMARK}-{rows or 'all'}", rows)
    fitted = fit(
        train,
        test,
        recipe=recipe,
        out=WORK / f"{BENCHMARK}-bundle",
        seed=seed,
        overrides=[f"model.trunk={trunk}"],
        inputs={"tokens": "words"},
    )
    values: dict[str, Any] = {"seconds": fitted.seconds}
    for name in FIGURES:
        values |= {name: fitted.metrics[name]["value"]}
    values |= {"f1_low": fitted.metrics["f1"]["low"], "f1_high": fitted.metrics["f1"]["high"]}
    dictionary = fitted.summary["baselines"]["Each word's most frequent tag"]["metrics"]
    values |= {f"dictionary_{name}": dictionary[name]["value"] for name in FIGURES}
    remove(fitted)
    RESULTS.append(BENCHMARK, cell, values)
    return values


def main(words: list[str] | None = None) -> None:
    """Measure the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="only these")
    parser.add_argument("--trunk", default="minilm", help="what the model starts from")
    parser.add_argument("--rows", type=int, help="learn from the first so many only; a draft")
    parser.add_argument("--again", action="store_true", help="measure cells that are there")
    options = parser.parse_args(words)
    for seed in options.seeds:
        try:
            values = measure_cell(seed, trunk=options.trunk, rows=options.rows, again=options.again)
        except DataAbsent as absent:
            print(f"{BENCHMARK}: skipped: {absent}", flush=True)
            return
        shown = ", ".join(f"{name} {values[name]:.4f}" for name in FIGURES)
        print(
            f"{BENCHMARK} {options.trunk} seed {seed}: {shown}, F1 of the dictionary {values['dictionary_f1']:.4f}, "
            f"{values['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
