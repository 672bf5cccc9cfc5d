"""Observers of a run: they may read and ask to stop, and change nothing."""

from collections.abc import Mapping
from typing import Protocol


class Callback(Protocol):
    """What an observer may be told; every method has a do-nothing default in `Observer`."""

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Before the first step of this process; `history` is what earlier ones recorded."""
        ...

    def on_step(self, step: int, record: Mapping[str, float]) -> bool:
        """After an optimiser step, with `loss`, `rate`, `done`, `left`; True asks to stop."""
        ...

    def on_record(self, record: Mapping[str, float]) -> None:
        """After a record joined the history: a mean loss, or a validation."""
        ...

    def on_retreat(self, step: int, history: list[dict[str, float]]) -> None:
        """After a loss that was not finite: the run is back at `step`, and `history` is all that has been."""
        ...

    def on_end(self) -> None:
        """After the last step, also when stopped."""
        ...


class Observer:
    """A callback that does nothing; keep what you need, replace the rest."""

    def on_begin(self, step: int, history: list[dict[str, float]]) -> None:
        """Ignore."""

    def on_step(self, step: int, record: Mapping[str, float]) -> bool:
        """Never ask to stop."""
        return False

    def on_record(self, record: Mapping[str, float]) -> None:
        """Ignore."""

    def on_retreat(self, step: int, history: list[dict[str, float]]) -> None:
        """Ignore."""

    def on_end(self) -> None:
        """Ignore."""
