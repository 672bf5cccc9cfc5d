"""P13: eight bits on the CPU, what they lose, how much faster, how large; against our own fp32 in the same run.

One bundle of the default trunk, `sample:movie-snippets`. Ranges and the choice of what stays in fp32 see training and
validation rows; what is lost is then measured once on the test rows, the same rows drawn for both models. Speed is raw
text to decision on the test rows, in turns with both of our own in fp32, PyTorch and the ONNX graph under each setting;
the gain is over the faster of the two.

P13-chain is one `underlay compress` with several steps in a row: the first of `CHAINS` of which no step loses too much
on validation rows. It is measured the same way, once, on test rows.
"""

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.command import CommandFailed, Compressed, compress, fit, recipe_digest, recipe_file
from benchmarks.datasets import WORK, movie_snippets
from benchmarks.record import Results
from underlay.bundle import Bundle, open_bundle
from underlay.compress import Exported, Labelled, export
from underlay.compress.loss import Judge
from underlay.compress.measuring import measure
from underlay.strategies.known_rows import known_rows

RESULTS = Results("compress")
BENCHMARKS = {"dynamic": "P13-dynamic", "static": "P13-static"}
RECIPE = "speed_short"
EIGHT_BITS = ("--int8", "--static")
CHAINS = (
    ("--distil", "layers:3", "--vocabulary", *EIGHT_BITS),
    ("--vocabulary", "--prune", "0.5", *EIGHT_BITS),
    ("--vocabulary", "--prune", "0.5", "--units", "layers", *EIGHT_BITS),
    ("--vocabulary", "--prune", "0.4", *EIGHT_BITS),
    ("--vocabulary", "--prune", "0.34", "--units", "layers", *EIGHT_BITS),
)
"""Steps in one command, those that leave least to compute first. On a development cut the last two lost 0.95 and 0.59
points of accuracy on 845 validation rows, the third 1.18 before its eight bits."""

DROP = 1.0
"""Points that a chain may lose on validation rows; asked for besides: four times the rows/s, a quarter of the bytes."""

TIMED = 1_000
"""Test rows that are timed."""


def main(words: list[str] | None = None) -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compress", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="a bundle of this cut instead of fitting one (development)")
    parser.add_argument("--pairs", type=int, default=3, help="times that the speed is measured")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each backend and time")
    parser.add_argument("--development", action="store_true", help="keep apart, not for the page")
    options = parser.parse_args(words)
    mark = {"development": True} if options.development or options.bundle else {}
    cell = {"seed": 0, "recipe": recipe_digest(recipe_file(RECIPE)), **mark}
    chain = {**cell, "chains": [" ".join(steps) for steps in CHAINS]}
    known = [RESULTS.find(benchmark, cell) for benchmark in BENCHMARKS.values()]
    if all((*known, RESULTS.find("P13-chain", chain))):
        return
    folder = WORK / "compress"
    train, test = movie_snippets().write(folder)
    bundle = options.bundle or fit(train, test, recipe=recipe_file(RECIPE), out=folder / "bundle", seed=0).bundle
    for scheme, benchmark in BENCHMARKS.items():
        if RESULTS.find(benchmark, cell) is None:
            values = measured(bundle, train, pd.read_parquet(test), scheme, options.pairs, options.seconds)
            entry = RESULTS.append(benchmark, cell, values)
            print(entry["benchmark"], entry["values"], flush=True)
    if RESULTS.find("P13-chain", chain) is None:
        values = chained(bundle, (train, test), options.pairs, options.seconds)
        entry = RESULTS.append("P13-chain", chain, values)
        print(entry["benchmark"], entry["values"], flush=True)
    if not options.bundle:
        shutil.rmtree(folder, ignore_errors=True)


def measured(bundle: Path, train: Path, test: pd.DataFrame, scheme: str, pairs: int, seconds: float) -> dict[str, Any]:
    """The figures of one scheme."""
    original = open_bundle(bundle)
    rows = known_rows(original, str(train))
    labelled = None if rows.truths is None else Labelled(rows.held, rows.truths)
    out = bundle.with_name(f"{bundle.name}-{scheme}")
    made = export(
        bundle, out, int8=True, static=scheme == "static", columns=rows.seen, labelled=labelled, force=True, seconds=2.0
    )
    export(bundle, bundle.with_name(f"{bundle.name}-fp32"), force=True, seconds=2.0)
    plain, small = open_bundle(bundle.with_name(f"{bundle.name}-fp32")), open_bundle(out)
    return {**lost(original, small, test), **speed(original, plain, small, test, pairs, seconds), **size(made)}


def chained(bundle: Path, data: tuple[Path, Path], pairs: int, seconds: float) -> dict[str, Any]:
    """The figures of the chain that is chosen; the command, and the clock on it."""
    out = bundle.with_name(f"{bundle.name}-chain")
    steps, made = chosen(bundle, data, out)
    plain = bundle.with_name(f"{bundle.name}-fp32")
    export(bundle, plain, force=True, seconds=2.0)
    original, small, test = open_bundle(bundle), open_bundle(out), pd.read_parquet(data[1])
    sizes = [sum(path.stat().st_size for path in one.rglob("*") if path.is_file()) for one in (bundle, out)]
    timed = speed(original, open_bundle(plain), small, test, pairs, seconds)
    rates = timed["rows_per_second"]
    return {
        **lost(original, small, test),
        **timed,
        "gain_over_bundle": rates["int8"] / rates["PyTorch"],
        "megabytes": sizes[1] / 1e6,
        "megabytes_fp32": sizes[0] / 1e6,
        "share_of_bytes": sizes[1] / sizes[0],
        "seconds": made.seconds,
        "command": " ".join(steps),
        "validation": [step["losses"] for step in made.summary["steps"]],
    }


def chosen(bundle: Path, data: tuple[Path, Path], out: Path) -> tuple[tuple[str, ...], Compressed]:
    """The first chain that keeps all its steps, and what its command said; its bundle stands at `out`.

    Raises:
        CommandFailed: None does, or a command fails otherwise than by losing too much.
    """
    for steps in CHAINS:
        try:
            made = compress(bundle, *data, out=out, steps=(*steps, "--max-drop", f"{DROP:g}"))
        except CommandFailed as failed:
            if "underlay: max_drop:" not in str(failed):
                raise
            continue
        if all(step["kept"] for step in made.summary["steps"]):
            return steps, made
    raise CommandFailed(f"every chain has a step that loses more than {DROP:g} points on validation rows")


def lost(original: Bundle, small: Bundle, test: pd.DataFrame) -> dict[str, Any]:
    """Points of accuracy, on the test rows, with their paired interval."""
    labels = [original.labels.index(str(label)) for label in test.label]
    judge = Judge.of(original, Labelled({"text": test.text.tolist()}, {"label": np.array(labels)}))
    (found,) = judge.losses(small.backend)
    return {
        "lost": found.points,
        "low": found.low,
        "high": found.high,
        "rows": found.rows,
        "accuracy": {"fp32": found.was, "int8": found.now},
    }


def speed(
    original: Bundle, plain: Bundle, small: Bundle, test: pd.DataFrame, pairs: int, seconds: float
) -> Mapping[str, Any]:
    """Rows a second in turns, and the gain over the faster of both in fp32: the median of `pairs` runs."""
    backends = {"PyTorch": original.backend, "ONNX fp32": plain.backend, "int8": small.backend}
    rows = [{"text": text} for text in test.text[:TIMED]]
    runs = [{one.name: one for one in measure(original, backends, rows, seconds=seconds)} for _ in range(pairs)]
    gains = [
        run["int8"].rows_per_second / max(run["PyTorch"].rows_per_second, run["ONNX fp32"].rows_per_second)
        for run in runs
    ]
    return {
        "gain": float(np.median(gains)),
        "gains": gains,
        "rows_per_second": {name: float(np.median([run[name].rows_per_second for run in runs])) for name in backends},
        "one_row_ms": {name: float(np.median([run[name].one_p50 for run in runs])) for name in backends},
        "one_row_p99_ms": {name: float(np.median([run[name].one_p99 for run in runs])) for name in backends},
    }


def size(made: Exported) -> dict[str, Any]:
    """Megabytes of the bundle, and what stayed in fp32."""
    kept = made.eight_bits.kept if made.eight_bits is not None else ()
    return {"megabytes": made.bytes_after / 1e6, "megabytes_fp32": made.bytes_before / 1e6, "left_in_fp32": list(kept)}


if __name__ == "__main__":
    main()
