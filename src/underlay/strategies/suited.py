"""Which trunk suits the rows at hand, where the recipe leaves it open and the modality would rather look first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from underlay.core import Suited, SuitingModality, stream
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
