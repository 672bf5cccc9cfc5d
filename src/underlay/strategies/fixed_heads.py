"""Heads on features below which nothing learns: fitted on all labelled rows, judged by heads that had not seen them.

A trained trunk needs validation rows to choose an epoch. Here there is one optimum and nothing to choose, so these rows
take part in the fit; what calibration and validation figures need of them comes from heads fitted without them.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from underlay.core import Batch, Output, Schema, stream
from underlay.models import FusedModel, SignalModel
from underlay.objectives import Objective, Step
from underlay.strategies.listening import Say
from underlay.train import EncodedRows, fit_head, sweep

FIXED_ROWS = 20_000
"""Rows that take part: 10,000 features of so many are 800 MB."""

FOLDS, MANY_FOLDS = 5, 2
"""Fits that leave validation rows out: each costs as much as the one that counts, so many rows get two."""

MANY = 2_000


def nothing_learns_below(model: SignalModel | FusedModel) -> bool:
    """Whether the heads are all there is to learn."""
    return all(model.layer_of(name) > model.depth for name, _ in model.named_parameters())


def fit_fixed_heads(
    model: SignalModel | FusedModel,
    rows: tuple[EncodedRows, EncodedRows],
    *,
    objective: Objective,
    schema: Schema,
    seed: int,
    say: Say,
) -> dict[str, Tensor]:
    """Fit the heads of `model` in place; gives out-of-fold logits of the validation rows by target, `[N, K]`.

    Args:
        model: In eval mode.
        rows: Training and validation.
        objective: What is minimised.
        schema: Targets.
        seed: Draws rows and folds.
        say: Told how far it is.
    """
    train, validation = rows
    most = max(FIXED_ROWS - len(validation), FIXED_ROWS // 2)
    picked = np.sort(stream(seed, "probe").permutation(len(train))[:most])
    chosen = train.select(np.concatenate([train.rows[picked], validation.rows]))
    found = sweep(
        model,
        chosen,
        batch_tokens=8192,
        progress=lambda done, total: say.progress("probe", done=done / total),
    )
    fit = _Fit(model, found.features, _labels(chosen), objective, seed)
    held = np.arange(len(picked), len(chosen.rows))
    folds = FOLDS if len(chosen.rows) <= MANY else MANY_FOLDS
    logits = {target.name: torch.zeros(len(held), target.outputs) for target in schema.targets}
    for fold in np.array_split(stream(seed, "folds").permutation(len(held)), min(folds, len(held))):
        heads = fit.on(np.setdiff1d(np.arange(len(chosen.rows)), held[fold]))
        with torch.no_grad():
            for name, values in heads(found.features[held[fold]]).items():
                logits[name][fold] = values
    fit.on(np.arange(len(chosen.rows)))
    return logits


class _Heads(nn.Module):
    """All heads of a model on one feature vector a row."""

    def __init__(self, model: SignalModel | FusedModel) -> None:
        super().__init__()
        self.targets = tuple(model.targets)
        self.heads = nn.ModuleList(model.head(target) for target in self.targets)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """`[N, D]` -> logits by target."""
        return {target: head(features) for target, head in zip(self.targets, self.heads, strict=True)}


class _Fit:
    """Heads fitted from their first values, again and again on other rows."""

    def __init__(
        self, model: SignalModel | FusedModel, features: Tensor, labels: Batch, objective: Objective, seed: int
    ) -> None:
        self.model, self.features, self.labels, self.objective, self.seed = model, features, labels, objective, seed
        self.heads = _Heads(model)
        self.first = {name: tensor.clone() for name, tensor in self.heads.state_dict().items()}

    def on(self, rows: np.ndarray) -> _Heads:
        """Fit on these rows."""
        index = torch.from_numpy(rows)
        features, batch = self.features[index], self.labels.map(lambda values: values[index])
        embedded = features.unsqueeze(1)

        def loss(logits: Any) -> Tensor:
            step = Step(batch, embedded, Output(embedded, features, logits), self.model, 0)
            return self.objective(self.objective.init(self.model), step).total

        self.heads.load_state_dict(self.first)
        torch.manual_seed(self.seed)
        fit_head(self.heads, features, loss)
        return self.heads


def _labels(rows: EncodedRows) -> Batch:
    """Targets and extra columns of the rows, no inputs."""
    targets = {name: torch.from_numpy(values[rows.rows]) for name, values in rows.targets.items()}
    return Batch({}, targets, {name: torch.from_numpy(values[rows.rows]) for name, values in rows.extra.items()})
