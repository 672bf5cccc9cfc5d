"""One run of a trained arm: Underlay's loop, the best epoch by validation, and the test part where it may be read."""

import time
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn
from torch.nn import functional as F

from studies.language_as_foundation.arms import DROPOUT, Arm, model_of
from studies.language_as_foundation.tasks import Data
from underlay.core import LossNotFinite
from underlay.models import SignalModel
from underlay.objectives import build_objective
from underlay.train import (
    OPTIMIZERS,
    Checkpoints,
    EncodedRows,
    Loop,
    Plan,
    RunState,
    Trainable,
    load_tensors,
    parameter_groups,
    sweep,
)


@dataclass(frozen=True)
class Settings:
    """What is the same in every run; a digest of it stands in every line.

    Args:
        batch_rows: Rows of a step.
        schedule: Of the learning rate.
        warmup: Share of the run in which it rises.
        weight_decay: On matrices.
        clip: Largest gradient norm.
        dropout: Everywhere.
        precision: Of all arms, in training, validation and test.
    """

    batch_rows: int = 32
    schedule: str = "one-cycle.v1"
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = DROPOUT
    precision: str = "bf16"


SETTINGS = Settings()
MOST_TOKENS = 4096
"""Of a batch; more than `batch_rows` rows of any task have, so that rows alone cut a batch that is learned from."""


class Unkept(Checkpoints):
    """A run of minutes keeps nothing on disk: killed, it is made again."""

    def __init__(self) -> None:
        super().__init__(Path("unkept"))

    def save(self, module: nn.Module, optimizer: torch.optim.Optimizer, state: RunState) -> Path:
        """Nothing."""
        return self.folder

    def restore(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> RunState | None:
        """Nothing was kept."""
        return None


def run(arm: Arm, data: Data, *, size: int, rate: float, seed: int, test: bool) -> dict[str, Any]:
    """Train once; the figures of the best epoch.

    Args:
        arm: Which.
        data: The task's rows.
        size: Rows to learn from, validation included.
        rate: Peak rate of everything that learns.
        seed: Of first values, batches and dropout.
        test: Whether the test part is read, once, at the end.
    """
    began, used = time.monotonic(), time.process_time()
    torch.set_num_threads(1)
    rows = data.encoded(size)
    model = model_of(arm, rows.described, column=data.cut.column, outputs=len(data.labels), seed=seed)
    epochs = epochs_of(len(rows.learn), steps=data.task.steps)
    accelerator = _accelerator()
    loop = Loop(
        Trainable(model, build_objective(None, schema_targets=rows.schema.targets)),
        rows.learn,
        OPTIMIZERS["adamw.v1"](_groups(model, rate)),
        learning_rate=rate,
        plan=_plan(seed, epochs),
        validate=lambda: _validation(model, rows.validation, accelerator),
        checkpoints=Unkept(),
        accelerator=accelerator,
    )
    diverged = _trained(loop)
    model.eval()
    best = answers(model, rows.validation, accelerator)
    progress = loop.state.progress
    return {
        **{f"validation_{name}": value for name, value in best.items()},
        **({f"test_{name}": value for name, value in answers(model, rows.test, accelerator).items()} if test else {}),
        "best_step": progress.best_step,
        "steps": progress.step,
        "epochs": progress.epoch,
        "diverged": diverged,
        "learning": sum(one.numel() for one in model.parameters() if one.requires_grad),
        "parameters": sum(one.numel() for one in model.parameters()),
        "train_rows": len(rows.learn),
        "validation_rows": len(rows.validation),
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "settings": asdict(SETTINGS),
    }


def epochs_of(rows: int, *, steps: int) -> int:
    """The whole number of passes nearest to `steps` steps, at least one.

    >>> [epochs_of(rows, steps=600) for rows in (200, 800, 2800)]
    [86, 24, 7]
    """
    return max(1, round(steps / -(-rows // SETTINGS.batch_rows)))


def answers(model: SignalModel, rows: EncodedRows, accelerator: Accelerator) -> dict[str, float | None]:
    """Accuracy and loss of a model in eval mode, in the precision of its training; no loss where it is not finite."""
    with accelerator.autocast():
        logits = sweep(model, rows, batch_tokens=MOST_TOKENS).logits["label"]
    truth = torch.from_numpy(rows.targets["label"][rows.rows])
    right = int((logits.argmax(1) == truth).sum())
    loss = float(F.cross_entropy(logits, truth))
    return {"accuracy": right / len(truth), "loss": loss if isfinite(loss) else None}


def _trained(loop: Loop) -> bool:
    """Run to the end and load the best epoch; True where the loss stopped being finite before."""
    try:
        loop.run()
    except LossNotFinite:
        load_tensors(loop.bare, loop.state.best)  # without a whole epoch: what there is
        return True
    return False


def _validation(
    model: SignalModel, rows: EncodedRows, accelerator: Accelerator
) -> tuple[list[float], dict[str, float]]:
    found = {name: inf if value is None else value for name, value in answers(model, rows, accelerator).items()}
    return [found["accuracy"], -found["loss"]], found


def _plan(seed: int, epochs: int) -> Plan:
    return Plan(
        seed=seed,
        epochs=epochs,
        batch_tokens=MOST_TOKENS,
        batch_rows=SETTINGS.batch_rows,
        schedule=SETTINGS.schedule,
        warmup=SETTINGS.warmup,
        clip=SETTINGS.clip,
        checkpoint_every=0,
        nan_retries=0,
    )


def _groups(model: SignalModel, rate: float) -> list[dict[str, Any]]:
    """One rate for all that learns."""
    return parameter_groups(
        model,
        layer_of=model.layer_of,
        depth=model.depth,
        learning_rate=rate,
        head_factor=1.0,
        layer_decay=1.0,
        weight_decay=SETTINGS.weight_decay,
    )


def _accelerator() -> Accelerator:
    AcceleratorState._reset_state()  # whoever ran before in this process may have computed otherwise
    return Accelerator(cpu=True, mixed_precision=SETTINGS.precision)
