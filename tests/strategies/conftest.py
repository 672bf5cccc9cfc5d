"""A small real data set and a trunk that trains in seconds."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.core import Event
from underlay.data import open_table
from underlay.strategies import FineTuned, Recipe, fine_tune

TINY = (
    "model.trunk=convolution",
    "model.options={width: 32, depth: 1, kernels: [3, 5]}",
    "train.epochs=2",
    "train.checkpoint_every=2",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)
"""A convolution from scratch: everything a run does, in a few seconds."""


def tiny(*more: str, seed: int = 0) -> Recipe:
    return Recipe.load(overrides=[*TINY, f"seed={seed}", *more])


def flags(*more: str) -> list[str]:
    return [word for setting in (*TINY, *more) for word in ("--set", setting)]


@pytest.fixture(scope="session")
def snippets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """360 rows of movie-snippets as a CSV file."""
    table = open_table("sample:movie-snippets")
    path = tmp_path_factory.mktemp("data") / "snippets.csv"
    rows = range(0, len(table), len(table) // 360)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(table.values("text", list(rows)), table.values("label", list(rows)), strict=True))
    return path


@pytest.fixture(scope="session")
def tuned(snippets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FineTuned, list[Event]]:
    """A finished run and everything it said."""
    events: list[Event] = []
    out = tmp_path_factory.mktemp("run") / "bundle"
    return fine_tune(str(snippets), recipe=tiny(), out=out, listener=events.append), events


def start(*arguments: str, folder: Path, **environment: str) -> "subprocess.Popen[str]":
    """`underlay ARGUMENTS` in its own process; lines can be read as they come."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "underlay", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def kill_at(process: "subprocess.Popen[str]", phase: str) -> None:
    """`kill -9` at the first line that tells of the phase."""
    assert process.stdout is not None
    for line in process.stdout:
        if phase in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
