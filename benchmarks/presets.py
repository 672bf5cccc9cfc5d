"""The demo's three commands, and `fast` against `balanced`, on `sample:movie-snippets`: seconds and test accuracy.

A run is what `make demo` does after the installation: fit, report, predict. Both presets split the rows alike for a
seed, in turn.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.command import CommandFailed, find_metrics
from benchmarks.datasets import WORK
from benchmarks.record import Results
from underlay.bundle import open_bundle

RESULTS = Results("presets")
PRESETS = ("fast", "balanced")
SEEDS = 3


def demo(preset: str, seed: int) -> Mapping[str, Any]:
    """One run of the three commands.

    Raises:
        CommandFailed: One of them did not end well.
    """
    out = WORK / "demo-bundle"
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(out.with_name(f"{out.name}.run"), ignore_errors=True)
    began = time.monotonic()
    words = ["--preset", preset, "--seed", seed, "--quiet"]
    _underlay("fit", "sample:movie-snippets", "--out", out, *words)
    trained = time.monotonic() - began
    _underlay("report", out, "--html", WORK / "demo.html")
    _underlay("predict", out, "a quiet, wonderful film", "--scores")
    seconds = time.monotonic() - began
    accuracy = find_metrics(open_bundle(out).metrics)["accuracy"]
    return {"seconds": seconds, "fit_seconds": trained, "accuracy": accuracy["value"], "low": accuracy["low"],
            "high": accuracy["high"]}  # fmt: skip


def _underlay(*words: str | Path | int) -> None:
    command = [sys.executable, "-m", "underlay", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command[2:])} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def main(words: list[str] | None = None) -> None:
    """Measure the runs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args(words)
    for seed in range(options.seeds):
        for preset in PRESETS:
            entry = RESULTS.find(f"demo-{preset}", {"seed": seed})
            if entry is None:
                entry = RESULTS.append(f"demo-{preset}", {"seed": seed}, demo(preset, seed))
            print(f"demo {preset} seed {seed}: {entry['values']}", flush=True)


if __name__ == "__main__":
    main()
