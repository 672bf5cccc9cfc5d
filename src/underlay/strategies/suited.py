"""Which trunk suits the rows at hand, where the recipe leaves it open and the modality would rather look first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from underlay.core import Schema, Suited, SuitingModality, stream
from underlay.modalities import MODALITIES
from underlay.strategies.assembly import Suits
from underlay.strategies.listening import Say
from underlay.strategies.prepared import Prepared
from underlay.strategies.recipe import Recipe

LOOKED_AT = 256
"""Training rows, drawn at random: what nine in ten of all are like, they are like too."""


def suited(data: Prepared, recipe: Recipe, *, say: Say) -> Suits:
    """What `assemble` asks: the trunk for the first column of a modality that has an opinion, said as a note.

    Args:
        data: Read and split.
        recipe: Its seed draws the rows.
        say: Told what was chosen and why.
    """

    def suits(kind: str, columns: Sequence[str]) -> Suited | None:
        modality: Any = MODALITIES[kind]
        if not isinstance(modality, SuitingModality):
            return None
        rows = stream(recipe.seed, f"suited/{columns[0]}").permutation(data.splits.train)[:LOOKED_AT]
        found = modality.suits(data.table.values(columns[0], np.sort(rows)))
        say.note(f"trunk: {found.trunk}, because {found.why}; --trunk names another")
        return found

    return suits


def without_weights(recipe: Recipe, schema: Schema) -> Recipe:
    """The recipe with trunks from scratch for those modalities that read a value alike whatever trunk follows.

    For what never trains: no trained trunk is fetched for them.

    Args:
        recipe: Trunks that it names stay.
        schema: The columns.
    """
    kinds = {MODALITIES.full_name(column.modality).rpartition(".v")[0] for column in schema.columns}
    alike = sorted(kind for kind in kinds if getattr(MODALITIES[kind], "standalone", False))
    if not alike or recipe.model.trunk != "auto":
        return recipe
    return recipe.change({"model": {"branches": dict.fromkeys(alike, "transformer") | dict(recipe.model.branches)}})
