"""The data checks of a run: what `data` finds, told, stored, and in strict mode obeyed."""

from collections.abc import Mapping

from underlay.core import Modality
from underlay.evaluate import CheckLine
from underlay.strategies.listening import Say
from underlay.strategies.prepare import Prepared
from underlay.strategies.recipe import Recipe


def check_data(
    data: Prepared, modalities: Mapping[str, Modality], recipe: Recipe, *, say: Say
) -> tuple[CheckLine, ...]:
    """Check the rows of a data set against one another."""
    return ()
