"""Two columns of one kind on one trunk, read as the pairs it was trained on: `[CLS] a [SEP] b [SEP]`."""

from collections.abc import Mapping
from typing import Any

from underlay.core import Modality, Schema
from underlay.modalities import MODALITIES
from underlay.models import Backbone
from underlay.strategies.assembly import Assembly
from underlay.strategies.recipe import Recipe


def options_of(modality: str, backbone: Backbone, recipe: Recipe) -> dict[str, Any]:
    """How the values of a modality are read on a trunk: the recipe's own words come last.

    Args:
        modality: Its name.
        backbone: The trunk, which may suggest options.
        recipe: `model` is read.
    """
    return {
        "max_length": recipe.model.max_length,
        "long": recipe.model.long,
        **backbone.suggests.get(modality, {}),
        **recipe.model.read.get(modality, {}),
    }


def pair_of(assembly: Assembly, schema: Schema, recipe: Recipe) -> dict[str, Mapping[str, Any]]:
    """By column of a pair, what is to be added to its options; nothing where the columns are none.

    Two columns of a modality that knows how to stand second are a pair where they are all that one trunk reads. Where
    long values are read in windows they are not: each window is read by itself.

    Args:
        assembly: The trunks.
        schema: The columns.
        recipe: `model` is read.
    """
    kinds = {column.modality for column in schema.columns}
    if len(assembly.branches) != 1 or len(schema.columns) != 2 or len(kinds) != 1:
        return {}
    modality = next(iter(kinds))
    second = getattr(MODALITIES[modality], "second", None)
    if second is None or options_of(modality, assembly.backbones[0], recipe)["long"] == "windows":
        return {}
    return {schema.columns[0].name: {}, schema.columns[1].name: second}


def shared_lengths(modalities: Mapping[str, Modality], *, limit: int | None) -> dict[str, int]:
    """The most positions of each of a pair, where both together reach beyond the trunk's; nothing where they do not.

    The shorter one keeps what it asks for up to half of the room, the other gets the rest.

    Args:
        modalities: Fitted, by column, two of them.
        limit: Positions of the trunk; None: any.
    """
    asked = {name: int(modality.facts()["max_length"]) for name, modality in modalities.items()}
    if limit is None or sum(asked.values()) <= limit:
        return {}
    (one, first), (other, second) = asked.items()
    half = limit // 2
    first = min(first, max(half, limit - second))
    return {one: first, other: min(second, limit - first)}
