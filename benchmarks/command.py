"""Underlay as its user runs it: one command, the clock on the wall, the figures it reports."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

RECIPES = Path(__file__).parent / "recipes"
TEXT: Mapping[str, str] = {"text": "text"}


class CommandFailed(Exception):
    """`underlay` ended with another code than 0; its last lines are the message."""


@dataclass(frozen=True)
class Fitted:
    """What a `fit` left behind.

    Args:
        bundle: The folder.
        seconds: Wall clock of the whole command: imports, checks, training, baselines, test, report.
        metrics: Test figures with their intervals, by name, as the bundle's `metrics.json` keeps them.
        summary: What `--json` said.
    """

    bundle: Path
    seconds: float
    metrics: Mapping[str, Mapping[str, float]]
    summary: Mapping[str, Any]


def fit(
    train: Path,
    test: Path,
    *,
    recipe: Path,
    out: Path,
    seed: int,
    overrides: Sequence[str] = (),
    preset: str = "",
    inputs: Mapping[str, str] = TEXT,
) -> Fitted:
    """Run `underlay fit` in a process of its own; `inputs` are columns and their modality.

    Raises:
        CommandFailed: It did not end well.
    """
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(out.with_name(f"{out.name}.run"), ignore_errors=True)
    words = ["fit", str(train), "--target", "label", "--test", str(test), "--recipe", str(recipe)]
    words += [word for column, modality in inputs.items() for word in (f"--{modality}", column)]
    words += ["--out", str(out), "--seed", str(seed), "--json", "--quiet"]
    words += [word for override in overrides for word in ("--set", override)]
    words += ["--preset", preset] if preset else []
    began = time.monotonic()
    said = _run(words)
    seconds = time.monotonic() - began
    metrics = find_metrics(json.loads((out / "metrics.json").read_text(encoding="utf-8")))
    return Fitted(out, seconds, metrics, json.loads(said))


class Compressed(NamedTuple):
    """What a `compress` said.

    Args:
        seconds: Wall clock of the whole command.
        summary: What `--json` said: steps with what each lost on validation rows, both bundles.
    """

    seconds: float
    summary: Mapping[str, Any]


def compress(bundle: Path, train: Path, test: Path, *, out: Path, steps: Sequence[str]) -> Compressed:
    """Run `underlay compress` in a process of its own.

    Raises:
        CommandFailed: It did not end well.
    """
    words = ["compress", str(bundle), *steps, "--data", str(train), "--test", str(test), "--out", str(out), "--force"]
    began = time.monotonic()
    said = _run([*words, "--quiet", "--json"])
    return Compressed(time.monotonic() - began, json.loads(said))


def _run(words: Sequence[str]) -> str:
    """What `underlay WORDS` put on stdout.

    Raises:
        CommandFailed: It did not end well.
    """
    done = subprocess.run(
        [sys.executable, "-m", "underlay", *words],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=dict(os.environ),
    )
    if done.returncode != 0:
        raise CommandFailed(f"underlay {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def find_metrics(kept: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """The figures of the single target, however deep they are kept.

    Raises:
        CommandFailed: There are none.
    """
    metrics: Any = kept.get("metrics", kept)
    while isinstance(metrics, Mapping) and not any(_is_figure(value) for value in metrics.values()):
        inner = [value for value in metrics.values() if isinstance(value, Mapping)]
        if not inner:
            break
        metrics = inner[0]
    if not isinstance(metrics, Mapping) or not metrics:
        raise CommandFailed(f"no test figures in the bundle: {json.dumps(kept)[:500]}")
    return metrics


def _is_figure(value: Any) -> bool:
    return isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)


def recipe_file(name: str) -> Path:
    """The recipe of a benchmark."""
    return RECIPES / f"{name}.yaml"


def recipe_digest(path: Path, overrides: Sequence[str] = ()) -> str:
    """Changes with the recipe: another recipe is another cell."""
    return sha256(path.read_bytes() + "\n".join(overrides).encode()).hexdigest()[:12]


def remove(fitted: Fitted) -> None:
    """Free the disk: a bundle is 90 MB."""
    shutil.rmtree(fitted.bundle, ignore_errors=True)
    shutil.rmtree(fitted.bundle.with_name(f"{fitted.bundle.name}.run"), ignore_errors=True)
