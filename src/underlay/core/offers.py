"""What only some modalities offer beside the protocol; asked for by what they can do, never by their name."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable


class Suited(NamedTuple):
    """A trunk for the values of a column.

    Args:
        trunk: Its name.
        why: A clause that people read: `the pictures are grey and have at most 28 x 28 pixels`.
    """

    trunk: str
    why: str


@runtime_checkable
class SuitingModality(Protocol):
    """A modality whose default trunk follows the data; it is asked before one is created, which the trunk decides."""

    @classmethod
    def suits(cls, values: Sequence[Any]) -> Suited:
        """The trunk that suits these values, some hundred of the training rows; also where none can be read."""
        ...


@runtime_checkable
class PicturedModality(Protocol):
    """A modality whose values can be shown small, in a list of them."""

    def thumbnail(self, value: Any) -> str:
        """The value as a `data:image/png;base64,`, `jpeg` or `svg+xml` address of some kilobytes.

        Raises:
            RowError: The value cannot be used.
        """
        ...


@runtime_checkable
class InspectingModality(Protocol):
    """A modality that knows values which can be read and hold nothing to learn from."""

    @property
    def oddities(self) -> Mapping[str, str]:
        """Code of a finding -> what is said of cells: `silent_recording`, `that are silent`."""
        ...

    def odd(self, value: Any) -> tuple[str, ...]:
        """Codes that hold for this value; none for one that cannot be read."""
        ...
