"""What a recipe says of mixing rows -> the mixing, or why this model cannot do it."""

from collections.abc import Mapping
from typing import Any

from underlay.core import RecipeError, Schema
from underlay.models import is_spatial
from underlay.strategies.assembly import Assembly
from underlay.strategies.recipe import Recipe
from underlay.train import Mixing, cutmix, mixup, one_of


def mixing_of(recipe: Recipe, assembly: Assembly, config: Mapping[str, Any], *, schema: Schema) -> Mixing | None:
    """The mixing that `train.mixup` and `train.cutmix` ask for; of both, one or the other for each batch.

    Args:
        recipe: As the user gave it, or resolved.
        assembly: The trunks.
        config: The model as `Assembly.configure` gave it.
        schema: The targets.

    Raises:
        RecipeError: A target has a label at every position, nothing learns below the heads, or rectangles are to be
            cut out of what is no picture.
    """
    settings = recipe.train
    asked = [name for name in ("mixup", "cutmix") if getattr(settings, name)]
    if not asked:
        return None
    if dense := [target for target in schema.targets if target.dense]:
        why = f"train.{asked[0]} makes one row of two, and the labels of {dense[0].name!r} ({dense[0].task}) belong"
        raise RecipeError([f"{why} to positions, which differ from row to row; drop it"])
    if assembly.fixed:
        why = f"train.{asked[0]} mixes what a trunk learns from, and {assembly.name} has nothing to learn"
        raise RecipeError([f"{why}; drop it, or name a trunk that learns (model.trunk: convolution)"])
    mixings = [mixup(settings.mixup)] if settings.mixup else []
    if settings.cutmix:
        mixings.append(cutmix(settings.cutmix, size=_size(assembly, config)))
    return mixings[0] if len(mixings) == 1 else one_of(mixings)


def _size(assembly: Assembly, config: Mapping[str, Any]) -> tuple[int, int]:
    """H and W of the pictures that the model's only trunk reads."""
    trunk = config.get("trunk", {})
    if not trunk or not is_spatial(trunk["name"]):
        how = "reads a sequence" if trunk else "are joined after they have read"
        why = f"train.cutmix cuts rectangles out of pictures and spectrograms, and {assembly.name} {how}"
        raise RecipeError([f"{why}; use train.mixup, or one trunk that reads pictures (model.trunk: resnet)"])
    height, width = trunk["size"]
    return int(height), int(width)
