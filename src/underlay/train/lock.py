"""One trainer a run folder: a kernel lock that a killed process cannot leave behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from underlay.core import RunLocked


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` while the body runs.

    Raises:
        RunLocked: Another process holds it; its number is in the message.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunLocked(
                f"process {holder} is working on {folder}", "wait for it, or choose another --out"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
