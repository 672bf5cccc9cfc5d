"""What a fit holds stays bounded, however many pictures or hours of recordings the data has."""

import os
import sys

import pytest
from benchmarks.memory import TASKS, measure

MOST = 4_000
"""Megabytes of a whole process tree."""

SHARE = float(os.environ.get("UNDERLAY_MEMORY_SHARE", "1"))
"""`UNDERLAY_MEMORY_SHARE=0.05` reads 5,000 of the 100,000 pictures and half an hour of the ten, which is quicker."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.mark.parametrize("name", TASKS)
def test_a_fit_of_very_many_rows_stays_below_four_gigabytes(name, tmp_path, record_property, capsys):
    task = TASKS[name]
    pytest.importorskip("PIL" if task.column == "image" else "soundfile", reason=f"no extra {task.column}")
    found = measure(name, task.whole * SHARE, tmp_path / "fit")
    line = f"{name}: " + ", ".join(f"{key} {value:,.0f}" for key, value in found.items())
    record_property("memory", line)
    with capsys.disabled():
        print(f"\n{line}")
    assert found["bundled"] == 1
    assert found["megabytes"] < MOST
