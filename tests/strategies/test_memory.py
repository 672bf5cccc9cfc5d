"""What a fit holds stays bounded, however many pictures or hours of recordings the data has."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MOST = 4 << 30
"""Bytes of a whole process tree."""

PICTURES = int(os.environ.get("UNDERLAY_PICTURES", "100000"))
HOURS = float(os.environ.get("UNDERLAY_FIT_HOURS", "10"))
"""Less of both is quicker: `UNDERLAY_PICTURES=5000 UNDERLAY_FIT_HOURS=0.5`."""

SHORT = (
    "train.epochs=1",
    "train.time_limit=20",
    "train.threads=1",
    "train.precision=fp32",
    "track.tensorboard=false",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def picture_rows(count: int) -> Iterator[tuple[list[bytes], list[str]]]:
    """PNG files of 32 x 32 pixels, a bright square in one of four corners, a thousand at a time."""
    from tests.modalities.examples import _file

    rng = np.random.default_rng(0)
    for start in range(0, count, 1000):
        cells, labels = [], []
        for number in range(start, min(start + 1000, count)):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            top, left = (number % 4 // 2) * 16, (number % 2) * 16
            pixels[top : top + 16, left : left + 16] += 100
            cells.append(_file("PNG", pixels))
            labels.append(f"corner {number % 4}")
        yield cells, labels


def sound_rows(hours: float, *, seconds: float = 5.0) -> Iterator[tuple[list[bytes], list[str]]]:
    """FLAC files of sweeps up or down in noise, a hundred at a time."""
    from tests.modalities.sounds import chirp, file_bytes, noise

    count = round(hours * 3600 / seconds)
    hiss = noise(seconds)
    kinds = {"up": chirp(300, 3000, seconds), "down": chirp(3000, 300, seconds)}
    for start in range(0, count, 100):
        cells, labels = [], []
        for number in range(start, min(start + 100, count)):
            label = "up" if number % 2 else "down"
            sound = np.roll(kinds[label], 37 * number) * (0.3 + 0.1 * (number % 7)) + 0.1 * np.roll(hiss, 331 * number)
            cells.append(file_bytes(np.clip(sound, -1, 1).astype(np.float32), kind="FLAC"))
            labels.append(label)
        yield cells, labels


def written(path: Path, name: str, rows: Iterator[tuple[list[bytes], list[str]]]) -> Path:
    """A Parquet file with a column of bytes, never whole in memory."""
    schema = pa.schema([(name, pa.binary()), ("label", pa.string())])
    with pq.ParquetWriter(path, schema) as file:
        for cells, labels in rows:
            file.write_table(pa.table({name: cells, "label": labels}, schema=schema))
    return path


def tree_bytes(root: int) -> int:
    """What a process and its descendants hold themselves; pages of a mapped file go when somebody else needs them."""
    parents, held = {}, {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            status = (place / "status").read_text()
        except OSError:  # it has ended
            continue
        words = dict(line.partition(":")[::2] for line in status.splitlines())
        parents[int(place.name)] = int(words["PPid"])
        held[int(place.name)] = int(words.get("RssAnon", "0").split()[0]) * 1024
    family = {root}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(held.get(one, 0) for one in family)


def peak_of(command: list[str], folder: Path) -> tuple[int, str, int]:
    """Exit code, what was said, and the most that the tree of processes held."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    said, _ = process.communicate()
    watcher.join()
    return process.returncode, said, peak


CASES: dict[str, tuple[str, Callable[[], Iterator[tuple[list[bytes], list[str]]]], tuple[str, ...]]] = {
    f"{PICTURES:,} pictures": ("image", lambda: picture_rows(PICTURES), ("model.trunk=resnet",)),
    f"{HOURS:g} hours of recordings": ("audio", lambda: sound_rows(HOURS), ("model.trunk=convolution",)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_fit_of_very_many_rows_stays_below_four_gigabytes(case, tmp_path, record_property, capsys):
    name, rows, settings = CASES[case]
    pytest.importorskip("PIL" if name == "image" else "soundfile", reason=f"the extra {name} is not installed")
    path = written(tmp_path / "rows.parquet", name, rows())
    flags = [word for setting in (*SHORT, *settings) for word in ("--set", setting)]
    began = time.monotonic()
    command = [sys.executable, "-m", "underlay", "fit", str(path), "--out", "bundle", *flags]
    code, said, peak = peak_of(command, tmp_path)
    line = (
        f"{case}: {path.stat().st_size / 1e6:,.0f} MB of data, peak {peak / 1e6:,.0f} MB, "
        f"{time.monotonic() - began:,.0f} s"
    )
    record_property("memory", line)
    with capsys.disabled():
        print(f"\n{line}")
    assert code == 0, said
    assert (tmp_path / "bundle" / "manifest.json").exists()
    assert peak < MOST
