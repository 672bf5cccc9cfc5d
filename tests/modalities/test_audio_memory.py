"""Hours of recordings are encoded in the memory of minutes."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("soundfile", reason="the extra audio is not installed")

HOURS = [float(hours) for hours in os.environ.get("UNDERLAY_AUDIO_HOURS", "1").split(",")]
"""`UNDERLAY_AUDIO_HOURS=1,10` runs ten hours too; they take some minutes and half a gigabyte of disk."""

SCRIPT = """
import sys, threading, time
from itertools import islice
from pathlib import Path

import numpy as np
from tests.modalities.sounds import file_bytes, noise, tone
from underlay.modalities import Audio
from underlay.train import encode_store

hours, folder = float(sys.argv[1]), Path(sys.argv[2])
SECONDS = 5.0
count = round(hours * 3600 / SECONDS)
kinds = [noise(SECONDS, seed=seed) for seed in range(4)] + [tone(200 * seed, SECONDS) for seed in range(1, 5)]

def clips():
    for number in range(count):
        sound = np.roll(kinds[number % 8], 331 * number) * (0.3 + 0.1 * (number % 7))
        yield file_bytes(sound.astype(np.float32), kind="FLAC" if number % 2 else "WAV")

def anonymous():
    # what the process holds itself; pages of a mapped file go whenever somebody else needs them
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024

largest = 0

def watch():
    global largest
    while True:
        largest = max(largest, anonymous())
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()

def peak():
    return max(largest, anonymous())

def fit(values):
    return Audio.create(assets={}, limit=None, options={}).fit(values, np.random.default_rng(0))

fit(islice(clips(), 64))  # what the libraries take
before = peak()
fitted = fit(clips())
after_fit = peak()
store = encode_store(folder, fitted, clips())
print(count, len(store), int((store.lengths > 0).sum()), before, after_fit, peak(),
      sum(array.nbytes for array in store.arrays.values()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("hours", HOURS)
def test_hours_of_recordings_are_fitted_and_encoded_in_bounded_memory(
    hours, tmp_path, checkout, record_property, capsys
):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(hours), str(tmp_path / "store")],
        cwd=checkout, capture_output=True, encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, stored, usable, before, after_fit, peak, written = map(int, done.stdout.split())
    said = (
        f"{hours:g} h as {count} clips: {written / 1e6:.0f} MB on disk, peak {peak / 1e6:.0f} MB of memory "
        f"({before / 1e6:.0f} MB before, {after_fit / 1e6:.0f} MB after fit)"
    )
    record_property("memory", said)
    with capsys.disabled():
        print(f"\n{said}")
    assert stored == usable == count
    assert written < hours * 5e7  # ten hours below half a gigabyte
    assert peak - before < 200 << 20  # what is held while fitting and while encoding, whatever the hours
