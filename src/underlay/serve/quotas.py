"""How often each key has asked today, in a file that outlives the server and is written a hundred times a day."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from underlay.core import ResourceError, UsageError
from underlay.core.durable import resource_errors, write_file
from underlay.serve.keys import locked
from underlay.serve.refusals import Refusal

FORMAT = 1

BLOCKS = 100
"""A server takes a quota in so many pieces: that many writes a day, and after a crash at most one piece that was
counted without having been used. Never the other way round: no piece is used before it is on disk."""

LOOK_SECONDS = 1.0
"""After which a file that had nothing left is looked at again: another server may have given back."""


class Quotas:
    """Counts by key and UTC day. Several servers may share one file.

    Args:
        path: The file, made if there is none.
        clock: Seconds that never jump.
        today: Seconds since 1970.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, today: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._clock = clock
        self._today = today
        self._day = ""
        self._left: dict[str, int] = {}
        self._empty: dict[str, float] = {}

    def check(self) -> None:
        """See that the file can be read and written.

        Raises:
            UsageError: `usage`: it is damaged.
            ResourceError: It cannot be written.
        """
        with locked(self._path):
            _write(self._path, self._now(), self._read())

    def take(self, key: str, most: int) -> bool:
        """Count one request; whether it was within the quota.

        Args:
            key: Its id.
            most: A day.

        Raises:
            Refusal: `quota_unknown`: the file cannot be read or written.
        """
        day = self._now()
        if day != self._day:
            self._day, self._left, self._empty = day, {}, {}
        if self._left.get(key, 0) <= 0:
            if self._clock() < self._empty.get(key, -1.0):
                return False
            self._left[key] = self._reserve(key, most)
            if not self._left[key]:
                self._empty[key] = self._clock() + LOOK_SECONDS
                return False
        self._left[key] -= 1
        return True

    def give_back(self, key: str) -> None:
        """Take back one that was counted today."""
        if self._day == self._now():
            self._left[key] = self._left.get(key, 0) + 1

    def seconds_left(self) -> float:
        """Until a new day begins."""
        now = datetime.fromtimestamp(self._today(), UTC)
        return 86_400.0 - (now.hour * 3_600 + now.minute * 60 + now.second)

    def close(self) -> None:
        """Write what was counted and not used; if that fails it stays counted."""
        unused = {key: left for key, left in self._left.items() if left > 0}
        if not unused or self._day != self._now():
            return
        with contextlib.suppress(ResourceError, UsageError, OSError), locked(self._path):
            counted = self._read()
            self._left = {}
            _write(
                self._path,
                self._day,
                counted | {key: max(0, counted.get(key, 0) - left) for key, left in unused.items()},
            )

    def _reserve(self, key: str, most: int) -> int:
        """Take the next piece of a quota; how much is in it."""
        try:
            with locked(self._path):
                counted = self._read()
                used = counted.get(key, 0)
                piece = min(max(1, most // BLOCKS), most - used)
                if piece > 0:
                    _write(self._path, self._day, counted | {key: used + piece})
        except (ResourceError, UsageError, OSError):
            raise Refusal("quota_unknown") from None
        return max(0, piece)

    def _read(self) -> dict[str, int]:
        """Today's counts by key.

        Raises:
            UsageError: `usage`.
        """
        with resource_errors(self._path):
            if not os.path.exists(self._path):
                return {}
            text = self._path.read_bytes()
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError(data["format"])
            counted = {str(key): int(count) for key, count in data["counted"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self._path} holds no counts that can be read",
                "remove it: every key then begins today's quota anew",
                code="usage",
            ) from error
        return counted if data.get("day") == self._now() else {}

    def _now(self) -> str:
        return datetime.fromtimestamp(self._today(), UTC).strftime("%Y-%m-%d")


def _write(path: Path, day: str, counted: dict[str, int]) -> None:
    write_file(path, json.dumps({"format": FORMAT, "day": day, "counted": counted}, indent=1).encode())
