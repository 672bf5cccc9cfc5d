"""Ctrl-C and SIGTERM asked for once end at the next step; asked for twice, at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


class StopRequest:
    """Which signal has asked to stop, if any."""

    def __init__(self) -> None:
        self.number: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; leave at once on the second, as `kill -9` would."""
        if self.number is not None:
            os._exit(128 + number)
        self.number = number


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Collect SIGINT and SIGTERM instead of dying of them; only the main thread can."""
    request = StopRequest()
    if current_thread() is not main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
