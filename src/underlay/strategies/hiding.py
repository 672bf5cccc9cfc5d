"""What happens next, asked of a trunk that reads both ways: the batches in which it is hidden."""

from collections.abc import Mapping
from typing import cast

from underlay.core import FollowedModality, Modality, Schema
from underlay.strategies.recipe import Recipe
from underlay.train import BatchMap, cloze


def hiding_of(recipe: Recipe, schema: Schema, modalities: Mapping[str, Modality]) -> tuple[BatchMap, ...]:
    """The change of batches that a target asks for whose answer is read at a hidden event; nothing for the others.

    Args:
        recipe: `train.masked` is read.
        schema: The targets.
        modalities: Fitted, by column.
    """
    ranked = [target.name for target in schema.targets if target.ranked]
    if not ranked:
        return ()
    column, modality = next(iter(modalities.items()))
    hidden = cast("FollowedModality", modality).hidden
    return () if hidden is None else (cloze(column, ranked[0], share=recipe.train.masked, hidden=hidden),)
