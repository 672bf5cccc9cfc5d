"""The events of a run as a person at a terminal reads them, or as a log file keeps them."""

import signal
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from underlay.cli.failures import Terminated
from underlay.cli.streams import progress
from underlay.core import Event

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

QUIET_SECONDS = 10.0
"""Between two progress lines in a log."""


class Terminal:
    """A listener that draws a live bar on a terminal and writes plain lines elsewhere; use it in a `with`.

    Args:
        quiet: Show nothing but warnings.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = progress()
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = 0.0
        self._stopped: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Terminal":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.getsignal(number)
            signal.signal(number, self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        self._end_bar()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Raise now, and again at the next event: some libraries swallow what is raised inside them."""
        self._stopped = number
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def __call__(self, event: Event) -> None:
        """Show one event; a kind that this version does not know is shown as a note."""
        if self._stopped is not None:
            raise Terminated if self._stopped == signal.SIGTERM else KeyboardInterrupt
        if self._quiet and event.kind != "warning":
            return
        if event.kind == "progress":
            self._advance(event)
            return
        if event.kind == "phase":
            self._end_bar()
            self._print(f"[bold]{_plain(event.text)}[/bold]")
        elif event.kind == "warning":
            self._print(f"[yellow]warning:[/yellow] {_plain(event.text)}")
        elif event.kind == "table":
            self._table(event)
        elif event.text:
            self._print(f"  {_plain(event.text)}")

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _table(self, event: Event) -> None:
        from underlay.cli.tables import table

        columns: Sequence[str] = event.data["columns"]
        rows: Sequence[Sequence[Any]] = event.data["rows"]
        self._console.print()
        self._console.print(table(event.text, columns, rows))
        self._console.print()

    def _advance(self, event: Event) -> None:
        if not self._console.is_terminal:
            self._line(event)
            return
        if self._bar is None:
            self._bar = _new_bar(self._console)
            self._bar.start()
        if self._task is None:
            self._task = self._bar.add_task("", total=None, measures="", left="")
        done, total = _counts(event.data)
        self._bar.update(
            self._task,
            description=_plain(event.text),
            completed=done,
            total=total,
            measures=measures(event.data),
            left=duration(event.data.get("left")),
        )
        if done >= total:
            self._end_bar()

    def _line(self, event: Event) -> None:
        done, total = _counts(event.data)
        now = time.monotonic()
        if now - self._last_line < QUIET_SECONDS and done < total:
            return
        self._last_line = now
        said = [f"{done / total:.0%}", measures(event.data), duration(event.data.get("left"))]
        self._print(f"  {_plain(event.text)} {', '.join(part for part in said if part)}")

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def _new_bar(console: Any) -> "Progress":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[measures]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
        refresh_per_second=4,
    )


def _plain(text: str) -> str:
    """The text as it is: a `[bold]` in a user's data is no markup, a terminal escape no command."""
    from rich.markup import escape

    return escape("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text))


def _counts(data: Mapping[str, Any]) -> tuple[float, float]:
    """How much of how much is done; without a total, `done` is a share."""
    total = float(data.get("total") or 1)
    return min(float(data.get("done", 0)), total), total


def measures(data: Mapping[str, Any]) -> str:
    """The measured part of a progress event.

    >>> measures({"loss": 0.5312, "rate": 2718.3})
    'loss 0.531, 2,718 tokens/s'
    """
    said = []
    if data.get("loss") is not None:
        said.append(f"loss {data['loss']:.3f}")
    if data.get("rate"):
        said.append(f"{data['rate']:,.0f} tokens/s")
    return ", ".join(said)


def duration(seconds: float | None) -> str:
    """Time left as people say it.

    >>> duration(75)
    '1 min 15 s left'
    """
    if seconds is None or seconds != seconds:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s left"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s left"
    return f"{whole // 3600} h {whole % 3600 // 60} min left"
