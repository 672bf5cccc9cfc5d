"""Results go to stdout, everything told on the way to stderr."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def results() -> "Console":
    """Where results go; tables keep their width when piped."""
    return _console(sys.stdout.isatty(), stderr=False)


def progress() -> "Console":
    """Where the story goes while a person waits."""
    return _console(sys.stderr.isatty(), stderr=True)


def _console(terminal: bool, *, stderr: bool) -> "Console":
    from rich.console import Console

    # Rich assumes 80 columns for a pipe and would fold tables that a log file has room for.
    return Console(stderr=stderr, width=None if terminal else 120, highlight=False, soft_wrap=not terminal)


def put_json(data: Mapping[str, Any]) -> None:
    """Write one JSON object to stdout; numbers that JSON lacks (NaN) become null."""
    print(json.dumps(_finite(data), ensure_ascii=False, indent=2, default=str))


def _finite(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    return data
