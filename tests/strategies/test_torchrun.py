"""The same run in two processes: one writes, both learn the same."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest
from tests.strategies.conftest import flags, start


@pytest.mark.timeout(280)
def test_two_processes_give_the_figures_of_one_within_noise(snippets, tmp_path):
    results = {}
    for name, extra in (("one", []), ("two", ["--on", "torchrun"])):
        command = [sys.executable, "-m", "underlay", "fit", str(snippets), "--out", name, "--json", "--quiet"]
        settings = flags("model.dropout=0", "train.checkpoint_every=0")
        done = subprocess.run(
            [*command, *extra, *settings],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        results[name] = json.loads(done.stdout)
    one, two = (results[name]["metrics"]["log_loss"]["value"] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=2e-2)
    steps = [
        [json.loads(line) for line in (tmp_path / f"{name}.run" / "history.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert [record["step"] for record in steps[0]] == [record["step"] for record in steps[1]]
    for alone, together in zip(*steps, strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], rel=1e-2)


@pytest.mark.row("F42")
@pytest.mark.timeout(280)
def test_a_lost_process_ends_the_run_and_resume_finishes_it(snippets, tmp_path):
    words = ["fit", str(snippets), "--out", "bundle", *flags("train.epochs=40"), "--on", "torchrun"]
    launcher = start(*words, folder=tmp_path)
    while not list((tmp_path / "bundle.run").glob("checkpoints/step-*[1-9]")):
        assert launcher.poll() is None
    ranks = [child for child in psutil.Process(launcher.pid).children() if "underlay" in child.cmdline()]
    assert len(ranks) == 2
    ranks[1].send_signal(signal.SIGKILL)
    launcher.communicate(timeout=120)
    assert launcher.returncode != 0
    assert not (tmp_path / "bundle").exists()
    resumed = start(*words, "--resume", "--set", "train.epochs=40", folder=tmp_path)
    said, _ = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, said
    assert (tmp_path / "bundle" / "manifest.json").exists()
