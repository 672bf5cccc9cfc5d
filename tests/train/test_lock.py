"""The lock of a run: one holder, and none left behind by a killed process."""

import os
import signal
import subprocess
import sys

import pytest

from underlay.core import RunLocked
from underlay.train import run_lock

HOLD = """
import sys, time
from pathlib import Path
from underlay.train.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.row("D20")
def test_another_process_is_refused_with_the_number_of_the_holder(holder, tmp_path):
    with pytest.raises(RunLocked, match=f"process {holder.pid} is working on"), run_lock(tmp_path):
        pass
    holder.send_signal(signal.SIGSTOP)  # not even a stopped one loses it
    with pytest.raises(RunLocked, match=str(holder.pid)), run_lock(tmp_path):
        pass


@pytest.mark.row("D20")
def test_kill_9_releases_the_lock(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=10)
    with run_lock(tmp_path):
        assert (tmp_path / "lock").read_text(encoding="utf-8") == str(os.getpid())


def test_the_lock_is_released_at_the_end_of_the_body_also_by_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"), run_lock(tmp_path / "new" / "folder"):
            raise ValueError("mine")


def test_two_folders_have_two_locks(tmp_path):
    with run_lock(tmp_path / "one"), run_lock(tmp_path / "other"):
        assert {path.name for path in tmp_path.rglob("lock")} == {"lock"}
