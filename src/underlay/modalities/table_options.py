"""What a recipe may say about how table columns are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from underlay.core import RecipeError
from underlay.modalities.options import OF_SEQUENCES, option_names, unknown_options
from underlay.modalities.table_cell import KINDS


@dataclass(frozen=True)
class TableOptions:
    """How the cells of table columns are read.

    Args:
        kind: `auto`: by the training cells; `number`, `date` or `category`.
        bins: Pieces of the embedding of a number; 16 tell as much as 64 on thousands of rows.
        categories: At most so many are known, the most frequent; the others are read as one.
        rare: Rows below which a category is read as other; 0: 5, or 2 among few rows.

    >>> TableOptions.read({"bins": 8, "max_length": 64}).bins
    8
    """

    kind: str = "auto"
    bins: int = 16
    categories: int = 1_000
    rare: int = 0

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> "TableOptions":
        """The options from plain data, all problems at once.

        Raises:
            RecipeError: Unknown keys or values out of range.
        """
        known = option_names(cls)
        own = {key: value for key, value in options.items() if key not in OF_SEQUENCES}
        problems = unknown_options(own, cls, "table")
        chosen = cls(**{key: value for key, value in own.items() if key in known})
        if chosen.kind not in ("auto", *KINDS):
            problems.append(f"table.kind is {chosen.kind!r}; it must be one of auto, {', '.join(KINDS)}")
        for name, low, high in (("bins", 1, 512), ("categories", 1, 1 << 20), ("rare", 0, 1 << 30)):
            value = getattr(chosen, name)
            if type(value) is not int or not low <= value <= high:
                problems.append(f"table.{name} is {value!r}; it must be a whole number of {low} to {high:,}")
        if problems:
            raise RecipeError(problems)
        return chosen
