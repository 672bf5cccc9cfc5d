"""The same run in two processes: one writes, both learn the same."""

import json
import os
import subprocess
import sys

import pytest
from tests.strategies.conftest import flags


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
