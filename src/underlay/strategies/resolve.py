"""Every `auto` of a recipe becomes a number before the first step, and stays it on resume."""

import math
import os
from typing import Any

import numpy as np
import torch

from underlay.core import Schema
from underlay.models import is_fixed
from underlay.objectives import default_objective
from underlay.strategies.assembly import JOINT, Assembly, resolved_head
from underlay.strategies.next_item import STRATEGY, piece_of
from underlay.strategies.recipe import Recipe
from underlay.train import OPTIMIZERS, SCHEDULES

PRETRAINED_RATE = 2e-4
"""Peak rate at width 384: small trunks take larger steps than BERT-base's 2e-5 to 5e-5."""

SCRATCH_RATE = 1e-3

PROBE_ROWS = 2048
"""The probe gives the head a start; more rows than these change it little and cost time."""

EPOCHS, MOST_EPOCHS = 3, 12
"""Three passes are enough for a pretrained trunk on thousands of rows; beyond twelve it learns the rows by heart."""

FEWEST_STEPS = 150
"""Below these, warm-up and cool-down leave no time between them."""

PATIENCE = 2
"""Validations without a gain that a fine-tuned trunk is given."""

CACHE_BYTES = 4 << 30
"""Cached activations beyond this cost more disk than the layers below cost time."""


def device_of() -> torch.device:
    """Where training runs: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def resolve_recipe(
    recipe: Recipe,
    *,
    schema: Schema,
    assembly: Assembly,
    lengths: np.ndarray,
    max_length: int,
    device: torch.device,
    processes: int = 1,
) -> Recipe:
    """The recipe with every automatic choice made.

    Args:
        recipe: As the user gave it.
        schema: Of the data.
        assembly: What the model starts from.
        lengths: Positions of the training rows.
        max_length: What the modality chose; 0 where it has no length.
        device: Where training runs.
        processes: That share this machine's cores.
    """
    train, pretrained = recipe.train, assembly.pretrained
    freeze, epochs = _freeze(recipe, pretrained, device), _epochs(recipe, assembly, len(lengths))
    choices: dict[str, Any] = {
        "learning_rate": _rate(recipe, assembly),
        "freeze": freeze,
        "cache": _cache(recipe, assembly, lengths, freeze),
        "probe": pretrained or assembly.fixed if train.probe == "auto" else train.probe,
        "epochs": epochs,
        "repeat": _repeat(recipe, assembly, len(lengths), epochs),
        "early_stopping": _patience(recipe, assembly),
        "threads": max(1, len(os.sched_getaffinity(0)) // processes) if train.threads == "auto" else train.threads,
        "optimizer": OPTIMIZERS.full_name(train.optimizer),
        "schedule": SCHEDULES.full_name(train.schedule),
    }
    columns = {column.name: column.modality for column in schema.columns}
    targets = [target.name for target in schema.targets]
    return recipe.change(
        {
            "data": {
                "target": targets[0] if len(targets) == 1 else targets,
                "columns": columns,
                **_task(recipe, schema),
            },
            "model": {
                "stem": "+".join(dict.fromkeys(columns.values())),
                "max_length": max_length or recipe.model.max_length,
                "pooling": assembly.pooling(recipe),
                "fusion": assembly.fusion,
                "head": resolved_head(recipe, schema),
                **_trunks(assembly),
            },
            "objective": recipe.objective or default_objective(schema.targets),
            "train": choices,
        }
    )


def _task(recipe: Recipe, schema: Schema) -> dict[str, Any]:
    """Task and split, where the name of the target alone would not say them again."""
    target = schema.targets[0]
    return {"task": target.task, "split": {"by": STRATEGY, "piece": piece_of(recipe)}} if target.ranked else {}


def _trunks(assembly: Assembly) -> dict[str, Any]:
    if assembly.fusion == JOINT:
        return {"trunk": assembly.name, "branches": {}}
    return {"branches": {branch.kind: branch.backbone.name for branch in assembly.branches}}


def _rate(recipe: Recipe, assembly: Assembly) -> float:
    """Of several trunks, the smallest rate: it is the one that can be missed by going too fast."""
    if recipe.train.learning_rate != "auto":
        return recipe.train.learning_rate
    if not assembly.pretrained:
        learning = [one for one in assembly.backbones if not is_fixed(one.trunk["name"])] or assembly.backbones
        return min(backbone.learning_rate or SCRATCH_RATE for backbone in learning)
    trained = [backbone for backbone in assembly.backbones if backbone.weights is not None]
    return min(backbone.learning_rate or float(PRETRAINED_RATE * 384 / backbone.trunk["width"]) for backbone in trained)


def _epochs(recipe: Recipe, assembly: Assembly, rows: int) -> int:
    """Few rows are passed over more often, so that there are steps enough to learn from."""
    if recipe.train.epochs != "auto":
        return recipe.train.epochs
    if assembly.fixed:
        return 1  # the probe has found the optimum; a pass over the rows it has not seen is enough
    passes = math.ceil(FEWEST_STEPS * recipe.train.batch_rows * recipe.train.accumulate / max(1, rows))
    return min(max(EPOCHS, passes), MOST_EPOCHS)


def _repeat(recipe: Recipe, assembly: Assembly, rows: int, epochs: int) -> int:
    """A trunk that starts from nothing takes as many steps on few rows as on many."""
    if recipe.train.repeat != "auto":
        return recipe.train.repeat
    each = math.ceil(rows / (recipe.train.batch_rows * recipe.train.accumulate))
    return max(1, math.ceil(assembly.steps / (epochs * max(1, each))))


def _patience(recipe: Recipe, assembly: Assembly) -> int:
    """Where the steps are counted the schedule has to come to its end: most is learned while the rate falls."""
    if recipe.train.early_stopping != "auto":
        return recipe.train.early_stopping
    return 0 if assembly.steps or recipe.train.keep == "last" else PATIENCE


def _freeze(recipe: Recipe, pretrained: bool, device: torch.device) -> int:
    """On a CPU a dense optimiser step over a word table costs a quarter of the time and changes few rows."""
    if recipe.train.freeze != "auto":
        return recipe.train.freeze if pretrained else 0
    return 1 if pretrained and device.type == "cpu" else 0


def _cache(recipe: Recipe, assembly: Assembly, lengths: np.ndarray, freeze: int) -> bool:
    if recipe.train.augment > 0 or freeze < 2 or not assembly.cacheable:
        return False
    if recipe.train.cache != "auto":
        return recipe.train.cache
    return int(lengths.sum()) * int(assembly.backbones[0].trunk["width"]) * 2 <= CACHE_BYTES
