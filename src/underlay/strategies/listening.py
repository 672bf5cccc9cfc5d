"""Telling whoever listens what a run does."""

from collections.abc import Mapping, Sequence
from typing import Any

from underlay.core import Event, Listener


class Say:
    """Sends events to a listener, if there is one.

    Args:
        listener: Gets every event.
    """

    def __init__(self, listener: Listener | None) -> None:
        self.listener = listener
        self.warnings: list[str] = []

    def phase(self, name: str, text: str) -> None:
        """A new phase begins."""
        self._send("phase", text, {"name": name})

    def note(self, text: str) -> None:
        """Something that was found or decided."""
        self._send("note", text, {})

    def warning(self, text: str) -> None:
        """Something that a person should look at; kept for the report."""
        self.warnings.append(text)
        self._send("warning", text, {})

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows to be read at a glance."""
        self._send("table", title, {"columns": list(columns), "rows": [list(row) for row in rows]})

    def progress(self, text: str, **numbers: float) -> None:
        """How far a long piece of work is."""
        self._send("progress", text, numbers)

    def result(self, text: str, data: Mapping[str, Any]) -> None:
        """What came out."""
        self._send("result", text, data)

    def _send(self, kind: str, text: str, data: Mapping[str, Any]) -> None:
        if self.listener is not None:
            self.listener(Event(kind, text, data))
