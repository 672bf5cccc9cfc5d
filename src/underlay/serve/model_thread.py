"""One thread that computes; the end of the process does not wait for it, as a model that hangs would keep it alive."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class ModelThread:
    """Does one thing after another.

    Args:
        name: For people who look at threads.

    >>> thread = ModelThread("model")
    >>> thread.submit(pow, 2, 3).result()
    8
    >>> thread.close()
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True).start()

    def submit(self, work: Callable[..., T], *arguments: Any) -> "Future[T]":
        """What `work(*arguments)` gives, once it was its turn."""
        done: Future[T] = Future()
        self._jobs.put((done, work, arguments))
        return done

    def close(self) -> None:
        """End after what was submitted; nobody waits for it."""
        self._jobs.put(None)


def _work(jobs: "SimpleQueue[Job | None]") -> None:
    while (job := jobs.get()) is not None:
        done, work, arguments = job
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work(*arguments))
            except BaseException as error:  # noqa: BLE001 - whoever asked gets it
                done.set_exception(error)
        del job, done, work, arguments  # or an idle thread would keep what it was asked last
