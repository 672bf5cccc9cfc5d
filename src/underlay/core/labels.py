"""Label names in one fixed order, from the training file to the server."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from underlay.core.errors import DataError, nearest


@dataclass(frozen=True)
class LabelMap:
    """Names by index; the one place where a name becomes a number and back.

    Args:
        names: Distinct, in the order that logits, columns and files use everywhere.

    >>> labels = LabelMap.from_values(["10", "9", "10"])
    >>> labels.names
    ('9', '10')
    >>> labels.index("10")
    1
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise DataError(f"label names must be distinct; {twice} appear twice", "rename one of them")

    @classmethod
    def from_values(cls, values: Iterable[str]) -> "LabelMap":
        """Collect the distinct names; numbers sort as numbers, all else as text."""
        return cls(tuple(sort_labels(set(values))))

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Give the position of `name`.

        Raises:
            DataError: The label was not seen in training.
        """
        if name not in self._positions:
            raise DataError(
                f"label {name!r} is not one of the {len(self.names)} this model knows",
                nearest(name, self.names[:20]),
                code="unknown_label",
            )
        return self._positions[name]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._positions


def sort_labels(names: Iterable[str]) -> Sequence[str]:
    """Sort as numbers when every name is one, else as text.

    >>> sort_labels(["10", "9", "1.5"])
    ['1.5', '9', '10']
    """
    listed = sorted(names)
    try:
        return sorted(listed, key=float)
    except ValueError:
        return listed
