"""What `train.precision: auto` means: timed once a machine, then remembered, so that runs there repeat themselves."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from underlay.bundle.machine import machine_fingerprint
from underlay.core import Batch, ResourceError, Schema
from underlay.core.durable import write_file
from underlay.core.wheels import cache_folder
from underlay.models import FusedModel, SignalModel
from underlay.objectives import build_objective
from underlay.strategies.learn import freeze
from underlay.strategies.recipe import Recipe
from underlay.train import EncodedRows, Trainable, choose_precision, plan_sweep


def precision_of(
    model: SignalModel | FusedModel, rows: EncodedRows, *, schema: Schema, recipe: Recipe, device: torch.device
) -> str:
    """The precision for this model on rows like these on this machine: `fp32`, `bf16` or `fp16`.

    A timing on a busy machine may come out either way; the first one on a machine decides for all later runs there.

    Args:
        model: Weights loaded; unchanged afterwards.
        rows: Training rows; a batch of them is timed.
        schema: Targets.
        recipe: Resolved but for the precision.
        device: Where training runs.
    """
    torch.set_num_threads(int(recipe.train.threads))
    batches = plan_sweep(rows.lengths, batch_tokens=recipe.train.batch_tokens, batch_rows=recipe.train.batch_rows)
    picked = batches[len(batches) // 2].tolist()
    batch = rows.batch(picked).map(lambda array: torch.from_numpy(array).to(device))
    size = int(rows.lengths[picked].sum()).bit_length()  # batches of like size take like time
    width = sum(one.numel() for name, one in model.named_parameters() if 0 < model.layer_of(name) <= model.depth)
    kind = f"{machine_fingerprint()} {device.type} threads {recipe.train.threads} trunk {width} batch 2**{size}"
    return remembered(cache_folder() / "precision.json", kind, lambda: _timed(model, batch, schema, recipe, device))


def remembered(path: Path, kind: str, choose: Callable[[], str]) -> str:
    """What was chosen for `kind` before, or what `choose` gives now, kept for the next time.

    Args:
        path: JSON file of choices; a folder that cannot be written forgets.
        kind: What the choice depends on.
        choose: Makes it.
    """
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    if kind not in known:
        known[kind] = choose()
        with contextlib.suppress(ResourceError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps(known, indent=1, sort_keys=True).encode())
    return known[kind]


def _timed(model: SignalModel | FusedModel, batch: Batch, schema: Schema, recipe: Recipe, device: torch.device) -> str:
    freeze(model, int(recipe.train.freeze))
    model.to(device).train()
    objective = build_objective(None, schema_targets=schema.targets)
    trainable = Trainable(model, objective)
    terms = objective.init(trainable.learner)

    def step() -> None:
        trainable(batch, terms, 0).total.backward()

    chosen = choose_precision(step, device=device).precision
    model.zero_grad(set_to_none=True)
    return chosen
