"""A run that was stopped anywhere ends as one that was never stopped."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from tests.train.toy import history, toy_loop, toy_rows, weights

from underlay.core import CheckpointRefused, Interrupted
from underlay.train import HistoryFile, Observer, Plan

PLAN = Plan(seed=5, epochs=3, batch_tokens=256, batch_rows=16, checkpoint_every=1, log_every=2)


class StopAt(Observer):
    """Sends this process a signal after one step, as a person or an orchestrator would."""

    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_step(self, step, record):
        if step == self.step:
            os.kill(os.getpid(), self.number)
        return False


class DieAt(Observer):
    """Leaves after one step without a word, before its checkpoint is written."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step, record):
        if step == self.step:
            raise RuntimeError("died")
        return False


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    loop = toy_loop(folder / "checkpoints", plan=PLAN, callbacks=[HistoryFile(folder / "history.jsonl")])
    state = loop.run()
    return weights(loop), history(state), (folder / "history.jsonl").read_text(), state


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.row("F07")
@pytest.mark.parametrize("optimizer", ["adamw"])
def test_a_run_stopped_after_any_step_ends_bit_for_bit_as_an_undisturbed_one(undisturbed, tmp_path, optimizer):
    expected, log, lines, whole = undisturbed
    for step in range(1, whole.progress.step):
        folder = tmp_path / str(step)
        folder.mkdir()
        callbacks = [HistoryFile(folder / "history.jsonl")]
        with pytest.raises(Interrupted):
            toy_loop(folder / "c", plan=PLAN, callbacks=[*callbacks, StopAt(step, signal.SIGTERM)]).run()
        resumed = toy_loop(folder / "c", plan=PLAN, callbacks=callbacks)
        state = resumed.run()
        assert same(weights(resumed), expected), f"weights differ after a stop at step {step}"
        assert history(state) == log
        assert (folder / "history.jsonl").read_text() == lines


@pytest.mark.row("F07")
def test_a_run_that_died_between_checkpoints_repeats_the_lost_steps_and_no_others(undisturbed, tmp_path):
    expected, log, _, _ = undisturbed
    plan = Plan(**{**vars(PLAN), "checkpoint_every": 3})
    with pytest.raises(RuntimeError):
        toy_loop(tmp_path, plan=plan, callbacks=[DieAt(8)]).run()
    rows = toy_rows()
    resumed = toy_loop(tmp_path, plan=plan, rows=rows)
    state = resumed.run()
    assert same(weights(resumed), expected)
    assert history(state) == log
    assert sum(map(len, rows.seen)) < PLAN.epochs * 96


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor"])
def test_every_optimiser_resumes_bit_for_bit(tmp_path, optimizer):
    whole = toy_loop(tmp_path / "whole", plan=PLAN, optimizer=optimizer)
    whole.run()
    with pytest.raises(Interrupted):
        toy_loop(tmp_path / "cut", plan=PLAN, optimizer=optimizer, callbacks=[StopAt(7, signal.SIGTERM)]).run()
    resumed = toy_loop(tmp_path / "cut", plan=PLAN, optimizer=optimizer)
    resumed.run()
    assert same(weights(resumed), weights(whole))


@pytest.mark.row("F09")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_and_the_exit_code_of_the_signal(tmp_path, number, code):
    with pytest.raises(Interrupted) as stopped:
        toy_loop(tmp_path, plan=Plan(**{**vars(PLAN), "checkpoint_every": 0}), callbacks=[StopAt(2, number)]).run()
    assert stopped.value.exit_code == code
    assert (tmp_path / "step-000000002" / "manifest.json").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "the process's own handlers are back"


@pytest.mark.row("F08")
@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "missing mark"])
def test_a_damaged_newest_checkpoint_is_passed_over_for_the_one_before(undisturbed, tmp_path, damage):
    expected, _, _, _ = undisturbed
    with pytest.raises(Interrupted):
        toy_loop(tmp_path, plan=PLAN, callbacks=[StopAt(6, signal.SIGTERM)]).run()
    spoil(tmp_path / "step-000000006", damage)
    resumed = toy_loop(tmp_path, plan=PLAN)
    resumed.run()
    assert same(weights(resumed), expected)
    assert len(resumed.checkpoints.refused) == 1
    assert "step-000000006" in resumed.checkpoints.refused[0]


@pytest.mark.row("F08")
def test_without_a_valid_checkpoint_a_run_refuses_and_does_not_begin_again(tmp_path):
    with pytest.raises(Interrupted):
        toy_loop(tmp_path, plan=PLAN, callbacks=[StopAt(6, signal.SIGTERM)]).run()
    for folder in tmp_path.glob("step-*"):
        spoil(folder, "bit")
    with pytest.raises(CheckpointRefused, match="none of the 2 checkpoints"):
        toy_loop(tmp_path, plan=PLAN).run()


def spoil(folder: Path, damage: str) -> None:
    file = folder / "parameters.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[:-7])
    elif damage == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    else:
        (folder / "manifest.json").unlink()


def test_a_checkpoint_is_plain_tensors_and_json(tmp_path):
    toy_loop(tmp_path, plan=Plan(**{**vars(PLAN), "epochs": 1})).run()
    folder = max(tmp_path.glob("step-*"))
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    assert json.loads((folder / "progress.json").read_text())["progress"]["epoch"] == 1
