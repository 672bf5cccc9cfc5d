"""Trackers, read back with their own readers: each point once, also where a run was killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tests.train.toy import history, toy_loop

from underlay.core import Interrupted, ServiceAway
from underlay.objectives import Objective, stateless
from underlay.strategies.learn import tracked_name
from underlay.train import HistoryFile, MLflow, Observer, Plan, TensorBoard, WeightsAndBiases
from underlay.train.tracking import scalars

ROOT = Path(__file__).resolve().parents[2]
PLAN = Plan(seed=5, epochs=2, batch_tokens=256, batch_rows=16, checkpoint_every=5, log_every=2)

needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="Weights & Biases is not installed (extra: track)")
needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None or find_spec("sqlalchemy") is None, reason="MLflow is not installed (extra: track)"
)

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train.test_tracking import PLAN
from tests.train.toy import toy_loop
from underlay.train import HistoryFile, Observer, TensorBoard

class DieAt(Observer):
    def on_step(self, step, record):
        if step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

folder = Path(sys.argv[1])
observers = [HistoryFile(folder / "history.jsonl"), TensorBoard(folder / "events"), DieAt()]
toy_loop(folder / "checkpoints", plan=PLAN, callbacks=observers).run()
"""


class StopAt(Observer):
    def __init__(self, step):
        self.step = step

    def on_step(self, step, record):
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)
        return False


def nan_once(at):
    """An objective whose loss is NaN at one step, once."""
    failures = []

    def loss(step):
        if step.number == at and not failures:
            failures.append(at)
            return step.output.features.sum() * float("nan")
        return torch.nn.functional.cross_entropy(step.output.logit(), step.batch.target())

    return Objective({"task": stateless(loss)})


def points(folder):
    """Tag -> its (step, value) pairs, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(at.step, at.value) for at in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def expected(records):
    found = {}
    for record in records:
        for tag, value in scalars(record).items():
            found.setdefault(tag, []).append((record["step"], pytest.approx(value, rel=1e-6)))
    return found


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tensorboard_shows_every_record_of_the_history_at_its_step(tmp_path):
    state = toy_loop(tmp_path / "c", plan=PLAN, callbacks=[TensorBoard(tmp_path / "events")]).run()
    assert set(points(tmp_path / "events")) == {"train/loss", "validation/loss"}
    assert points(tmp_path / "events") == expected(history(state))


@pytest.mark.row("F07")
@pytest.mark.parametrize("step", [4, 9])
def test_a_killed_and_resumed_run_shows_every_point_once(tmp_path, step):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(step)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = points(tmp_path / "events")["train/loss"]
    assert [at for at, _ in before] == list(range(2, step + 1, 2)), (
        "what a checkpoint counts is on disk when it is written"
    )
    time.sleep(1.1)  # event files are named by the second they were made in; a resumed command is never that quick
    observers = [HistoryFile(tmp_path / "history.jsonl"), TensorBoard(tmp_path / "events")]
    state = toy_loop(tmp_path / "checkpoints", plan=PLAN, callbacks=observers).run()
    assert points(tmp_path / "events") == expected(history(state))
    assert lines(tmp_path / "history.jsonl") == history(state)


def test_steps_that_are_taken_back_after_a_nan_are_taken_back_from_the_log_and_the_curves(tmp_path):
    observers = [HistoryFile(tmp_path / "history.jsonl"), TensorBoard(tmp_path / "events")]
    state = toy_loop(tmp_path / "c", plan=PLAN, objective=nan_once(8), callbacks=observers).run()
    assert state.progress.retries == 1
    assert lines(tmp_path / "history.jsonl") == history(state)
    assert points(tmp_path / "events") == expected(history(state))


def wandb_rows(folder):
    """History rows of all offline files of a run, oldest file first, and the ids of their runs.

    The file is LevelDB's log format behind a header of 7 bytes, its records are protobufs.
    """
    from wandb.proto import wandb_internal_pb2

    rows, names = [], set()
    for path in sorted(folder.rglob("*.wandb")):
        data, at, whole = path.read_bytes(), 7, b""
        while at + 7 <= len(data):
            if 32768 - at % 32768 < 7:
                at += 32768 - at % 32768
                continue
            size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
            whole += data[at + 7 : at + 7 + size]
            at += 7 + size
            if kind in (1, 4):  # whole, or the last part
                record = wandb_internal_pb2.Record.FromString(whole)
                whole = b""
                if record.WhichOneof("record_type") == "run":
                    names.add((record.run.run_id, record.run.display_name, record.run.project))
                if record.WhichOneof("record_type") == "history":
                    items = {item.key or item.nested_key[0]: item.value_json for item in record.history.item}
                    rows.append({key: json.loads(value) for key, value in items.items()})
    return rows, names


def wandb_points(folder):
    found = {}
    for row in wandb_rows(folder)[0]:
        for tag in ("train/loss", "validation/loss"):
            if tag in row:
                found.setdefault(tag, []).append((row["_step"], row[tag]))
    return found


@needs_wandb
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_weights_and_biases_offline_gets_every_record_and_a_resumed_run_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")

    def tracker():
        return WeightsAndBiases(tmp_path / "wandb", name="bundle-5", config={"epochs": 2})

    with pytest.raises(Interrupted):
        toy_loop(tmp_path / "c", plan=PLAN, callbacks=[tracker(), StopAt(5)]).run()
    time.sleep(1.1)  # as above
    state = toy_loop(tmp_path / "c", plan=PLAN, callbacks=[tracker()]).run()
    deadline = time.monotonic() + 30  # its own process writes, and may come a moment after `finish`
    while (shown := wandb_points(tmp_path / "wandb")) != expected(history(state)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert shown == expected(history(state))
    ((_, name, project),) = wandb_rows(tmp_path / "wandb")[1]  # one run, told twice
    assert (name, project) == ("bundle-5", "underlay")


@needs_wandb
def test_two_runs_of_one_name_are_two_runs_of_weights_and_biases(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for folder in ("one", "other"):
        tracker = WeightsAndBiases(tmp_path / folder, name="bundle-0", config={})
        tracker.on_begin(0, [])
        tracker.on_end()
    assert len({(tmp_path / folder / "run-id").read_text(encoding="utf-8") for folder in ("one", "other")}) == 2


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # MLflow's own, of SQLAlchemy and alembic
def test_mlflow_keeps_every_record_in_the_folder_and_a_resumed_run_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    import mlflow

    def tracker():
        return MLflow(tmp_path / "mlflow", name="bundle-5", config={"epochs": 2, "long": "x" * 900})

    with pytest.raises(Interrupted):
        toy_loop(tmp_path / "c", plan=PLAN, callbacks=[tracker(), StopAt(5)]).run()
    state = toy_loop(tmp_path / "c", plan=PLAN, callbacks=[tracker()]).run()
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("underlay").experiment_id])
    assert (run.info.run_name, run.info.status) == ("bundle-5", "FINISHED")
    assert run.data.params["epochs"] == "2"
    shown = {
        tag: [(at.step, at.value) for at in client.get_metric_history(run.info.run_id, tag)] for tag in run.data.metrics
    }
    assert {tag: sorted(values) for tag, values in shown.items()} == expected(history(state))


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_two_runs_of_one_process_each_keep_their_points_in_their_own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    import mlflow

    for name in ("one", "other"):
        tracker = MLflow(tmp_path / name, name=name, config={})
        tracker.on_begin(0, [])
        tracker.on_record({"step": 1, "loss": 0.5})
        tracker.on_end()
    for name in ("one", "other"):
        client = mlflow.MlflowClient(f"sqlite:///{tmp_path / name / 'mlflow.db'}")
        (run,) = client.search_runs([client.get_experiment_by_name("underlay").experiment_id])
        assert (run.info.run_name, run.data.metrics) == (name, {"train/loss": 0.5})


@needs_mlflow
@pytest.mark.filterwarnings("ignore")
def test_a_tracking_server_that_is_away_says_so_with_its_exit_code(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ServiceAway, match="MLflow does not answer") as away:
        MLflow(tmp_path, name="bundle-0", config={}).on_begin(0, [])
    assert away.value.exit_code == 6


@needs_wandb
def test_weights_and_biases_without_a_key_says_how_to_stay_on_this_machine(tmp_path):
    code = (
        "import sys; from pathlib import Path; from underlay.train import WeightsAndBiases;"
        "WeightsAndBiases(Path(sys.argv[1]), name='bundle-0', config={}).on_begin(0, [])"
    )
    without = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        env={**without, "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "ServiceAway: Weights & Biases does not answer" in done.stderr
    assert "WANDB_MODE=offline" in done.stderr


@pytest.mark.parametrize(
    ("folder", "name"),
    [("runs/reviews.run", "reviews-3"), ("runs/reviews.run/seed-3", "reviews-3"), ("elsewhere/bundle.run", "bundle-3")],
)
def test_a_tracked_run_is_named_by_its_bundle_and_its_seed(tmp_path, folder, name):
    assert tracked_name(tmp_path / folder, seed=3) == name
