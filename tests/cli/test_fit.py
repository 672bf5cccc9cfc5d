"""`underlay fit` as a script and as a person use it, on a small real sample and a small trunk."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = ("--set", "model.trunk=transformer", "--set", "model.options={depth: 1, width: 32, heads: 2, inner: 64}")
QUICK = (*SMALL, "--set", "train.epochs=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 tweets with their labels."""
    from underlay.cli.writing import write_table
    from underlay.data import open_table

    path = tmp_path_factory.mktemp("data") / "tweets.csv"
    write_table(open_table("sample:tweets").arrow.slice(0, 400), path)
    return path


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with a finished bundle, and what the command said."""
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "underlay", "fit", str(data), "--out", "bundle", *QUICK]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_last_line_of_stdout_is_the_bundle_and_the_story_is_on_stderr(run):
    folder, done = run
    assert done.stdout.splitlines()[-1] == "bundle"
    assert (folder / "bundle" / "manifest.json").exists()
    assert "'text', read as text" in done.stderr
    assert "'label', 2 labels" in done.stderr
    assert "epoch 1" in done.stderr


def test_the_figures_stand_with_their_intervals_beside_two_baselines(run):
    said = run[1].stdout
    for expected in ("Accuracy", "95 % intervals", "Majority class", "TF-IDF", "underlay predict bundle"):
        assert expected in said


def test_the_report_is_beside_the_bundle_and_can_be_written_anywhere(run, tmp_path):
    folder, done = run
    assert "bundle.run/report.html" in done.stdout
    command = [sys.executable, "-m", "underlay", "report", "bundle", "--html", str(tmp_path / "r.html")]
    assert subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page == (folder / "bundle.run" / "report.html").read_text(encoding="utf-8")


def test_evaluate_gives_the_figures_as_json(run, data):
    command = [sys.executable, "-m", "underlay", "evaluate", "bundle", str(data), "--json", "-", "--quiet"]
    done = subprocess.run(command, cwd=run[0], capture_output=True, encoding="utf-8")
    found = json.loads(done.stdout)
    assert found["n"] == 400
    assert 0 <= found["metrics"]["accuracy"]["low"] <= found["metrics"]["accuracy"]["high"] <= 1
    assert done.stderr == ""


def test_evaluate_without_a_known_label_is_refused_rather_than_silent(run, tmp_path):
    (tmp_path / "new.csv").write_text("text,label\na film,\nanother,\n", encoding="utf-8")
    command = [sys.executable, "-m", "underlay", "evaluate", "bundle", str(tmp_path / "new.csv"), "--quiet"]
    done = subprocess.run(command, cwd=run[0], capture_output=True, encoding="utf-8")
    assert done.returncode == 3
    assert done.stderr.startswith("underlay: no_labels: ")


@pytest.mark.row("D19")
def test_what_stands_at_out_is_not_replaced_without_force(run, data):
    before = (run[0] / "bundle" / "manifest.json").read_bytes()
    command = [sys.executable, "-m", "underlay", "fit", str(data), "--out", "bundle", *QUICK]
    done = subprocess.run(command, cwd=run[0], capture_output=True, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("underlay: output_exists: ")
    assert "--force" in done.stderr
    assert (run[0] / "bundle" / "manifest.json").read_bytes() == before


def test_resuming_a_finished_run_changes_nothing_and_exits_0(run, data):
    before = (run[0] / "bundle" / "manifest.json").read_bytes()
    command = [sys.executable, "-m", "underlay", "fit", str(data), "--out", "bundle", *QUICK, "--resume"]
    done = subprocess.run(command, cwd=run[0], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "bundle")
    assert (run[0] / "bundle" / "manifest.json").read_bytes() == before


def test_json_and_quiet_leave_one_object_on_stdout_and_nothing_on_stderr(underlay, data):
    done = underlay("fit", str(data), "--out", "out", *QUICK, "--json", "--quiet", "--set", "data.suspects=false")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said["bundle"] == "out"
    assert set(said["baselines"]) >= {"Majority class"}
    assert said["metrics"]["accuracy"]["low"] <= said["metrics"]["accuracy"]["value"]
    assert [line for line in done.stderr.splitlines() if not line.startswith("warning:")] == []


@pytest.mark.row("D19")
def test_an_out_that_is_a_file_is_exit_2_and_a_read_only_folder_is_exit_5(underlay, data, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert underlay("fit", str(data), "--out", "file", *QUICK).returncode == 2
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    # /proc/self is a folder in which not even root can make one.
    done = underlay("fit", str(data), "--out", "/proc/self/bundle", *QUICK)
    assert done.returncode == 5
    assert "/proc/self" in done.stderr


def test_a_time_limit_that_is_none_and_two_flags_that_exclude_each_other_are_exit_2(underlay, data):
    assert underlay("fit", str(data), "--time-limit", "soon").returncode == 2
    assert underlay("fit", str(data), "--resume", "--force").returncode == 2
    assert underlay("fit").returncode == 2


@pytest.mark.row("F09")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("waits_for", ["reading", "epoch 1"])
def test_a_signal_ends_the_run_with_one_line_and_no_bundle(number, exit_code, waits_for, data, tmp_path):
    words = ["fit", str(data), "--out", "out", *SMALL, "--set", "train.epochs=300", "--set", "train.early_stopping=0"]
    with subprocess.Popen(
        [sys.executable, "-m", "underlay", *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        while waits_for not in (line := process.stderr.readline()):
            assert line, "the run ended before it said what this test waits for"
        begin = time.monotonic()
        os.kill(process.pid, number)
        rest = process.stderr.read()
        assert process.wait(30) == exit_code
    assert time.monotonic() - begin < 30
    assert rest.splitlines()[-1].startswith("underlay: interrupted: ")
    assert "Traceback" not in rest
    assert not (tmp_path / "out").exists()
