"""A small real model on small real rows: quick enough to train in a test, nothing of it faked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from underlay.core import Batch
from underlay.models import build
from underlay.objectives import Objective, cross_entropy
from underlay.train import OPTIMIZERS, Checkpoints, Loop, Plan, RunState, Trainable, parameter_groups, sweep

CONFIG: dict[str, Any] = {
    "stems": [{"column": "text", "name": "text.v1", "vocabulary": 50, "padding": 0, "width": 16, "positions": 32}],
    "trunk": {"name": "transformer.v1", "width": 16, "depth": 2, "heads": 2, "inner": 32, "dropout": 0.1},
    "pooling": {"name": "mean.v1"},
    "heads": [{"target": "label", "name": "linear.v1", "outputs": 2}],
}


@dataclass(frozen=True)
class ToyRows:
    """Rows whose label is whether the word 7 occurs."""

    ids: Sequence[np.ndarray]
    labels: np.ndarray
    seen: list[list[int]]

    @property
    def lengths(self) -> np.ndarray:
        return np.array([len(row) for row in self.ids])

    def batch(self, rows: Sequence[int]) -> Batch:
        self.seen.append(list(rows))
        longest = max(len(self.ids[row]) for row in rows)
        ids, mask = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(self.ids[row])], mask[at, : len(self.ids[row])] = self.ids[row], 1
        return Batch({"text": {"ids": ids, "mask": mask}}, {"label": self.labels[list(rows)]})


def toy_rows(count: int = 96, seed: int = 0) -> ToyRows:
    rng = np.random.default_rng(seed)
    ids = [rng.integers(1, 50, rng.integers(3, 20)) for _ in range(count)]
    return ToyRows(ids, np.array([int(7 in row) for row in ids]), [])


def toy_loop(
    folder: Path,
    *,
    plan: Plan,
    rows: ToyRows | None = None,
    optimizer: str = "adamw",
    objective: Objective | None = None,
    callbacks: Sequence[Any] = (),
    learning_rate: float = 1e-3,
    change: Callable[[torch.nn.Module], None] = lambda model: None,
) -> Loop:
    torch.set_num_threads(1)
    model = build(CONFIG, seed=plan.seed)
    change(model)
    held_out = toy_rows(32, seed=9)

    def validate() -> tuple[list[float], dict[str, float]]:
        logits = sweep(model, held_out, batch_tokens=512).logits["label"]
        loss = float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(held_out.labels)))
        return [-loss], {"loss": loss}

    groups = parameter_groups(
        model,
        layer_of=model.layer_of,
        depth=model.depth,
        learning_rate=learning_rate,
        head_factor=1.0,
        layer_decay=0.9,
        weight_decay=0.01,
    )
    return Loop(
        Trainable(model, objective or Objective({"task": cross_entropy()})),
        rows or toy_rows(),
        OPTIMIZERS[optimizer](groups),
        learning_rate=learning_rate,
        plan=plan,
        validate=validate,
        checkpoints=Checkpoints(folder),
        callbacks=callbacks,
    )


def weights(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loop.bare.state_dict().items()}


def history(state: RunState) -> list[dict[str, float]]:
    return state.progress.history
