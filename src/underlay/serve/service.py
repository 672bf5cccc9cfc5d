"""What the endpoints share: the models that are served, and a request's way to the version that answers it."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from underlay.serve.aliases import Aliases
from underlay.serve.limits import Limits
from underlay.serve.metrics import Metrics
from underlay.serve.model import Model
from underlay.serve.records import NoRecords, Records
from underlay.serve.refusals import Refusal
from underlay.serve.served import Answer, Served
from underlay.serve.shadow import Shadows
from underlay.serve.version import Make, Receive, Version
from underlay.serve.version_metrics import VersionMetrics

READERS = 2
"""Threads that read requests while models answer others; tokenising and decoding leave Python's lock."""


@dataclass(frozen=True)
class Asked:
    """Who is asked by a request.

    Args:
        model: By its name, or the default.
        pinned: Label of the version, if the address has one.
        name: Of the request for itself, its `Idempotency-Key`.
    """

    model: Model
    pinned: str | None
    name: str | None

    @property
    def version(self) -> Version:
        """Whom the address names: the pinned one, or `prod`."""
        return self.model.prod if self.pinned is None else self.model.version(self.pinned)


class Service:
    """The models of a server.

    Args:
        served: The first, which is the default: whoever names no model asks it.
        limits: Of the server.
        make: Makes a version of a bundle, its limits and who is told of each batch: one that answers in this process,
            or one that asks others.
    """

    def __init__(self, served: Served, *, limits: Limits, make: Make = Version) -> None:
        self.limits = limits
        self._make = make
        self.draining = False
        self.stopped = False
        self.edition = 0
        self.on_change: Callable[[], None] = lambda: None
        self.records: Records = NoRecords()
        self.models: dict[str, Model] = {}
        self.default = served.name
        self.metrics = Metrics(lambda: sum(version.batcher.waiting for version in self.versions()))
        self.version_metrics = VersionMetrics(self.metrics.registry)
        self.metrics.ready.set_function(lambda: float(self.ready))
        self.metrics.queue_full.set_function(
            lambda: max((version.batcher.fullness for version in self.versions()), default=0.0)
        )
        self.shadows = Shadows(limits, self.version_metrics)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self.install(self.prepare(served))

    def versions(self) -> Iterator[Version]:
        """Of all models."""
        for model in list(self.models.values()):
            yield from list(model.versions.values())

    @property
    def model(self) -> Model:
        """The default."""
        return self.models[self.default]

    @property
    def served(self) -> Served:
        """What answers for the default."""
        return self.model.served

    @property
    def files(self) -> frozenset[str]:
        """Columns of the default that take files."""
        return self.model.form.files

    @property
    def ready(self) -> bool:
        """Whether new requests are welcome; a model that was stopped on purpose does not count against the others."""
        models = (model for model in self.models.values() if not model.stopped)
        return not (self.draining or self.stopped) and self.records.working and all(model.ready for model in models)

    @property
    def body_bytes(self) -> int:
        """The largest body that any model takes."""
        return max(self.body_bytes_of(model) for model in self.models.values())

    def body_bytes_of(self, model: Model) -> int:
        """The largest body that one model takes."""
        files = model.form.files
        return max(self.limits.file_body_bytes, self.limits.body_bytes) if files else self.limits.body_bytes

    def prepare(self, served: Served) -> Version:
        """A version that could be installed: the model is asked for a while to know its pace. In any thread.

        Args:
            served: Opened.
        """
        return self._make(served, limits=self.limits, observe=self._observe)

    def install(self, version: Version) -> None:
        """Have a version, which answers if it is asked for; the first of a name is its `prod`.

        Args:
            version: That `prepare` gave.
        """
        served = version.served
        if served.name in self.models:
            self.models[served.name].versions[version.label] = version
        else:
            self.models[served.name] = Model(served.name, {version.label: version}, Aliases(version.label))
        self.metrics.know(served.name, served.targets)
        self.version_metrics.watch(version)
        self.show_weights(served.name)
        self.edition += 1
        self.on_change()

    def uninstall(self, version: Version) -> None:
        """Forget a version; whoever counts on it has it still."""
        model = self.models[version.served.name]
        del model.versions[version.label]
        if not model.versions:
            del self.models[model.name]
        self.edition += 1
        self.on_change()

    def forget(self, version: Version) -> None:
        """Drop the figures of a version that nobody counts on any more, unless another has its place."""
        name, model = version.served.name, self.models.get(version.served.name)
        if model is None or version.label not in model.versions:
            self.version_metrics.forget(name, version.label)

    def show_weights(self, name: str) -> None:
        """Bring the figures up to date after aliases of a model moved."""
        model = self.models[name]
        for label in model.versions:
            weight = model.aliases.weight if label == model.aliases.canary else 0.0
            weight += 1.0 - model.aliases.weight if label == model.aliases.prod else 0.0
            self.version_metrics.weight.labels(name, label).set(weight)

    def start(self) -> None:
        """Begin to answer; needs a running loop."""
        for version in self.versions():
            version.batcher.start()

    def find(self, request: Request) -> Asked:
        """Who is asked, before anything of the body is read.

        Raises:
            Refusal: `not_found`, `stopped`, `model_hangs`, `overloaded`.
        """
        asked = self.named(request)
        self.refuse_stopped(asked.model)
        asked.version.refuse_early()
        return asked

    def named(self, request: Request) -> Asked:
        """Which model an address names.

        Raises:
            Refusal: `not_found`.
        """
        name, pinned = request.path_params.get("name", self.default), request.path_params.get("version")
        if name not in self.models:
            raise Refusal("not_found")
        if pinned is not None:
            self.models[name].version(pinned)
        return Asked(self.models[name], pinned, request.headers.get("idempotency-key"))

    def refuse_stopped(self, model: Model) -> None:
        """Refuse what an operator has stopped.

        Raises:
            Refusal: `stopped`.
        """
        if self.stopped or model.stopped:
            raise Refusal("stopped", retry_after=10.0)

    @contextlib.contextmanager
    def answering(self, asked: Asked, rows: Mapping[str, Sequence[Any]]) -> Iterator[Version]:
        """The version that answers a request, which stays in memory until the request is done; counts how it went.

        Args:
            asked: By the request.
            rows: Raw values by column.

        Raises:
            Refusal: `not_found`.
        """
        version = asked.model.chosen(asked.pinned, rows, asked.name)
        of, started = (asked.model.name, version.label), time.monotonic()
        with version.held():
            try:
                yield version
            except Refusal as refusal:
                if refusal.status >= 500 and refusal.code not in ("stopped", "draining"):
                    self.version_metrics.failures.labels(*of).inc()
                raise
            self.version_metrics.answers.labels(*of).inc()
            self.version_metrics.seconds.labels(*of).observe(time.monotonic() - started)

    async def ask(
        self,
        asked: Asked,
        version: Version,
        rows: Mapping[str, Sequence[Any]],
        *,
        receive: Receive,
        deadline: float,
        place: Callable[[int], str],
    ) -> list[Answer]:
        """An answer a row, in their order.

        Args:
            asked: By the request.
            version: That `answering` gave.
            rows: Raw values by column.
            receive: Of the request, which says when its sender leaves.
            deadline: Of the monotonic clock.
            place: Gives the JSON pointer to a row.

        Raises:
            Refusal: As `Version.ask`, or `stopped` meanwhile.
            ClientGone: The sender left; rows that were not begun are dropped.
        """
        answers = await version.ask(rows, receive=receive, deadline=deadline, place=place, readers=self._readers)
        self.refuse_stopped(asked.model)
        for answer in answers:
            self.metrics.answered(asked.model.name, answer)
        return answers

    def shadow(self, asked: Asked, rows: Mapping[str, Sequence[Any]], answers: Sequence[Answer]) -> None:
        """Ask the shadow of a model too, if there is one and the request named no version."""
        label = asked.model.aliases.shadow
        if label is not None and asked.pinned is None and label in asked.model.versions:
            self.shadows.ask(asked.model.versions[label], rows, answers)

    def stop_model(self, model: Model) -> None:
        """Refuse from now on what asks a model, and what waits for it."""
        model.stopped = True
        for version in model.versions.values():
            version.batcher.refuse_all("stopped")

    def stop_all(self) -> None:
        """Refuse from now on whatever asks a model, and what waits."""
        self.stopped = True
        for version in self.versions():
            version.batcher.refuse_all("stopped")

    async def stop(self) -> None:
        """Refuse what waits and end the threads."""
        self.shadows.stop()
        for version in self.versions():
            await version.batcher.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _observe(self, rows: int, seconds: float) -> None:
        self.metrics.batch_rows.observe(rows)
        self.metrics.batch_seconds.observe(seconds)
