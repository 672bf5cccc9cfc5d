"""Trackers as callbacks: TensorBoard, Weights & Biases, MLflow, and the run's own log."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from underlay.core import MissingExtra, ServiceAway
from underlay.train.callbacks import Observer


class HistoryFile(Observer):
    """The run's log: one JSON line a record, the same lines after a resumption as without one.

    Args:
        path: Rewritten from the checkpoint's history at the start, then appended to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Write what the checkpoint knows; lines after it are of steps that will be done again."""
        self.path.write_text("".join(json.dumps(record) + "\n" for record in history), encoding="utf-8")

    def on_retreat(self, step: int, history: list[dict[str, float]]) -> None:
        """Drop the lines of the steps that will be done again."""
        self.on_begin(step, history)

    def on_record(self, record: Mapping[str, float]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(record)) + "\n")


class TensorBoard(Observer):
    """Scalars for `tensorboard --logdir`.

    Args:
        folder: Of the event files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Open the writer; points after `step` of an earlier process are purged."""
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError:
            raise MissingExtra("track.tensorboard", "train") from None
        self.writer = SummaryWriter(str(self.folder), purge_step=step + 1)

    def on_record(self, record: Mapping[str, float]) -> None:
        """One point a value, written out at once: a killed process has lost no point that a checkpoint counts."""
        for name, value in scalars(record).items():
            self.writer.add_scalar(name, value, int(record["step"]))
        self.writer.flush()

    def on_retreat(self, step: int, history: list[dict[str, float]]) -> None:
        """Purge the points after `step`."""
        self.writer.close()
        self.on_begin(step, history)

    def on_end(self) -> None:
        """Flush and close."""
        self.writer.close()


class WeightsAndBiases(Observer):
    """A run of Weights & Biases; `WANDB_MODE=offline` keeps it on this machine.

    Args:
        folder: Where its files go.
        name: Of the run.
        config: What it was made with.
    """

    def __init__(self, folder: Path, *, name: str, config: Mapping[str, Any]) -> None:
        self.folder, self.name, self.config = folder, name, dict(config)
        self.run: Any = None

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Start a run, or go on with the one that was started in this folder."""
        try:
            import wandb
        except ImportError:
            raise MissingExtra("track.wandb", "track") from None
        chosen: dict[str, Any] = {
            "project": "underlay",
            "name": self.name,
            "config": self.config,
            "dir": str(self.folder),
        }
        identity = known_run(self.folder) or keep_run(self.folder, secrets.token_hex(8))
        with answering("Weights & Biases", wandb.errors.Error, "`wandb login`, or WANDB_MODE=offline to stay here"):
            self.run = wandb.init(id=identity, resume="allow", **chosen)

    def on_record(self, record: Mapping[str, float]) -> None:
        """One row."""
        self.run.log(scalars(record), step=int(record["step"]))

    def on_end(self) -> None:
        """Close the run."""
        self.run.finish()


class MLflow(Observer):
    """A run of MLflow at `MLFLOW_TRACKING_URI`, or in `folder` where that is not set.

    Args:
        folder: Of the local store.
        name: Of the run.
        config: Its parameters.
    """

    def __init__(self, folder: Path, *, name: str, config: Mapping[str, Any]) -> None:
        self.folder, self.name, self.config = folder, name, dict(config)
        self.client: Any = None
        self.run = ""

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Start a run, or go on with the one that was started in this folder."""
        try:
            import mlflow
            import sqlalchemy  # noqa: F401 - without it mlflow-skinny knows no local store
        except ImportError:
            raise MissingExtra("track.mlflow", "track") from None
        self.folder.mkdir(parents=True, exist_ok=True)
        place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.folder.resolve() / 'mlflow.db'}"
        # A client of its own: the functions of the module keep one address for the whole process.
        with self._answering():
            self.client = mlflow.MlflowClient(place)
            self.run = known_run(self.folder) or self._start()
            self.client.update_run(self.run, status="RUNNING")

    def _start(self) -> str:
        """Create the run, with its parameters, and give its id."""
        found = self.client.get_experiment_by_name("underlay")
        experiment = found.experiment_id if found else self.client.create_experiment("underlay")
        run = keep_run(self.folder, self.client.create_run(experiment, run_name=self.name).info.run_id)
        for key, value in self.config.items():
            self.client.log_param(run, key, str(value)[:500])
        return run

    def on_record(self, record: Mapping[str, float]) -> None:
        """One point a value."""
        with self._answering():
            for name, value in scalars(record).items():
                self.client.log_metric(self.run, name, value, step=int(record["step"]))

    def on_end(self) -> None:
        """Close the run."""
        with self._answering():
            self.client.set_terminated(self.run)

    def _answering(self) -> AbstractContextManager[None]:
        from mlflow.exceptions import MlflowException

        return answering("MLflow", MlflowException, "see that MLFLOW_TRACKING_URI answers; unset, it stays here")


@contextmanager
def answering(service: str, failure: type[Exception], remedy: str) -> Iterator[None]:
    """What a tracker's own `failure` means: it is away. The run can be resumed once it is back.

    Raises:
        ServiceAway: In place of `failure`.
    """
    try:
        yield
    except failure as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ServiceAway(f"{service} does not answer: {reason:.200}", remedy) from error


def known_run(folder: Path) -> str | None:
    """The tracker's id of the run whose files stand in `folder`, so that a resumed run is not a second one."""
    path = folder / "run-id"
    return path.read_text(encoding="utf-8") if path.exists() else None


def keep_run(folder: Path, identity: str) -> str:
    """Note the id in `folder` and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run-id").write_text(identity, encoding="utf-8")
    return identity


def scalars(record: Mapping[str, float]) -> dict[str, float]:
    """Values by the name trackers show: losses of training, and everything of a validation.

    >>> scalars({"step": 3, "loss": 0.5})
    {'train/loss': 0.5}
    """
    prefix = "validation" if "epoch" in record else "train"
    return {f"{prefix}/{name}": value for name, value in record.items() if name not in ("step", "epoch")}
