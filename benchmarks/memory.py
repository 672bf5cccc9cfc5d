"""What `underlay fit` holds at most: 100,000 small pictures, ten hours of recordings, within 4 GB.

The data are made here and written as one Parquet file with row groups as large as `pandas` makes them. The peak is the
sum over the process and its descendants, read ten times a second: of what they hold themselves (pages of a mapped file
go when somebody else needs them), and the resident pages that are theirs and mapped beside it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.command import CommandFailed
from benchmarks.datasets import WORK
from benchmarks.record import Results

RESULTS = Results("memory")

ROW_GROUP = 10_000
"""Rows; `pandas` writes up to a million into one."""

SHORT = ("train.epochs=1", "train.time_limit=20", "train.threads=1", "train.precision=fp32", "track.tensorboard=false")
"""Settings of a fit: what is held while it trains does not grow with the steps."""

Rows = Iterator[tuple[bytes, str]]


def pictures(count: float) -> Rows:
    """PNG files of 32 x 32 pixels, a bright square in one of four corners."""
    from io import BytesIO

    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(round(count)):
        pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
        top, left = (number % 4 // 2) * 16, (number % 2) * 16
        pixels[top : top + 16, left : left + 16] += 100
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        yield file.getvalue(), f"corner {number % 4}"


def recordings(hours: float, *, seconds: float = 5.0, rate: int = 16_000) -> Rows:
    """FLAC files of sweeps up or down in noise."""
    from io import BytesIO

    import soundfile

    rng = np.random.default_rng(0)
    moments = np.arange(round(seconds * rate)) / rate
    hiss = rng.normal(0, 0.02, len(moments))
    sweeps = {
        label: np.sin(2 * np.pi * (first * moments + (last - first) / (2 * seconds) * moments**2))
        for label, first, last in (("up", 300, 3_000), ("down", 3_000, 300))
    }
    for number in range(round(hours * 3600 / seconds)):
        label = "up" if number % 2 else "down"
        sound = np.roll(sweeps[label], 37 * number) * (0.1 + 0.04 * (number % 7)) + np.roll(hiss, 331 * number)
        file = BytesIO()
        soundfile.write(file, sound.astype(np.float32), rate, format="FLAC")
        yield file.getvalue(), label


@dataclass(frozen=True)
class Task:
    """One fit.

    Args:
        column: Of the inputs, and their modality.
        rows: How much of it -> its files and labels.
        whole: How much the goal asks for.
        trunk: That learns.
    """

    column: str
    rows: Callable[[float], Rows]
    whole: float
    trunk: str


TASKS: Mapping[str, Task] = {
    "memory-pictures": Task("image", pictures, 100_000, "resnet"),
    "memory-recordings": Task("audio", recordings, 10.0, "convolution"),
}


def written(path: Path, column: str, rows: Rows) -> Path:
    """A Parquet file with a column of bytes and one of labels."""
    schema = pa.schema([(column, pa.binary()), ("label", pa.string())])
    with pq.ParquetWriter(path, schema) as file:
        group: list[tuple[bytes, str]] = []

        def flush() -> None:
            cells, labels = zip(*group, strict=True)
            file.write_table(pa.table({column: cells, "label": labels}, schema=schema))
            group.clear()

        for row in rows:
            group.append(row)
            if len(group) == ROW_GROUP:
                flush()
        if group:
            flush()
    return path


def tree_bytes(root: int) -> tuple[int, int]:
    """What a process and its descendants hold themselves, and that with the files they have mapped."""
    parents, own, resident = {}, {}, {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            status = (place / "status").read_text()
        except OSError:  # it has ended
            continue
        words = dict(line.partition(":")[::2] for line in status.splitlines())
        process = int(place.name)
        parents[process] = int(words["PPid"])
        own[process], resident[process] = (int(words.get(name, "0").split()[0]) << 10 for name in ("RssAnon", "VmRSS"))
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(own.get(one, 0) for one in family), sum(resident.get(one, 0) for one in family)


def peak_of(command: list[str], folder: Path) -> tuple[int, int]:
    """Run to the end; the most that the tree of processes held, as `tree_bytes` counts.

    Raises:
        CommandFailed: It did not end well.
    """
    with (folder / "said.txt").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=said, stderr=subprocess.STDOUT
        )
        peak = [0, 0]

        def watch() -> None:
            while process.poll() is None:
                peak[:] = map(max, peak, tree_bytes(process.pid))
                time.sleep(0.1)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        process.wait()
        watcher.join()
        said.seek(0)
        if process.returncode != 0:
            raise CommandFailed(f"{' '.join(command)} ended with {process.returncode}:\n{said.read()[-3000:]}")
    return peak[0], peak[1]


def measure(name: str, size: float, folder: Path) -> dict[str, float]:
    """Peak of one fit, in MB, and what it read.

    Args:
        name: Of the task.
        size: How much of it: pictures, or hours.
        folder: For the data and the bundle; emptied.
    """
    task = TASKS[name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = written(folder / "rows.parquet", task.column, task.rows(size))
    settings = [word for setting in (*SHORT, f"model.trunk={task.trunk}") for word in ("--set", setting)]
    began = time.monotonic()
    own, resident = peak_of([sys.executable, "-m", "underlay", "fit", str(path), "--out", "bundle", *settings], folder)
    return {
        "megabytes": own / 1e6,
        "resident_megabytes": resident / 1e6,
        "data_megabytes": path.stat().st_size / 1e6,
        "seconds": time.monotonic() - began,
        "bundled": float((folder / "bundle" / "manifest.json").exists()),
    }


def main(words: list[str] | None = None) -> None:
    """Measure the tasks that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--share", type=float, default=1.0, help="development: of the pictures or hours")
    parser.add_argument("--again", action="store_true", help="measure what is there")
    options = parser.parse_args(words)
    for name in options.names:
        size = TASKS[name].whole * options.share
        cell: dict[str, Any] = {"seed": 0, "size": size}
        if options.share != 1:
            cell |= {"development": {"share": options.share}}
        known = RESULTS.find(name, cell)
        if known is None or options.again:
            folder = WORK / name
            known = RESULTS.append(name, cell, measure(name, size, folder))
            shutil.rmtree(folder, ignore_errors=True)
        shown = ", ".join(f"{key} {value:,.0f}" for key, value in known["values"].items())
        print(f"{name} {size:g}: {shown}", flush=True)


if __name__ == "__main__":
    main()
