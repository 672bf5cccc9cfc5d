"""What a server counts, as Prometheus reads it; no figure holds a value that was sent."""

import math
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from underlay.core import Target
from underlay.serve.served import Answer

CONTENT_TYPE = CONTENT_TYPE_LATEST

LABELS = 100
"""Label names of a target that are counted by themselves; all further ones are `other`, so that no figure has more
series than a monitor can hold."""

REASONS = 150
"""Reasons for refusals that are counted by themselves: ours, and those of a few modalities."""

OTHER = "other"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)
"""With 0.3 s and 1 s among them, which are the bounds of the service level."""

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Bounds of confidence: but for 0.99 also those of a bundle's own reference, so that the two can be compared."""

ANSWERED = ("predict", "infer")
"""Routes whose answers are what a server is for."""

_STATUSES = ("200", "422", "429", "500", "503", "504")
_AWAITED = ("no_key", "too_many_failures", "overloaded", "bug", "row_failed", "redaction_timeout", "redaction_failed")
"""What an alarm looks at is shown from the start as 0: of a figure that begins with 1 a monitor sees no increase."""


class Metrics:
    """Rates, errors, durations, what waits, what is answered and how surely.

    Args:
        waiting: Gives the rows that wait now.
    """

    def __init__(self, waiting: Callable[[], int]) -> None:
        self.registry = kept = CollectorRegistry()
        self._names: dict[tuple[str, str], frozenset[str]] = {}
        self._reasons: set[str] = set()
        self.offered = Counter("underlay_offered", "Requests that came, refused ones among them", registry=kept)
        self.requests = Counter("underlay_requests", "Requests that were answered", ["route", "status"], registry=kept)
        self.errors = Counter("underlay_errors", "Requests without an answer, by reason", ["reason"], registry=kept)
        self.gone = Counter("underlay_client_gone", "Requests whose sender left before the answer", registry=kept)
        self.seconds = Histogram(
            "underlay_request_seconds", "From the headers to the answer", ["route"], buckets=SECONDS, registry=kept
        )
        self.batch_rows = Histogram("underlay_batch_rows", "Rows answered at once", buckets=_ROWS, registry=kept)
        self.batch_seconds = Histogram("underlay_batch_seconds", "Answering them", buckets=SECONDS, registry=kept)
        self.predictions = Counter(
            "underlay_predictions", "Labels that were answered", ["model", "target", "label"], registry=kept
        )
        self.confidence = Histogram(
            "underlay_confidence",
            "Calibrated probability of the answer",
            ["model", "target"],
            buckets=CONFIDENCE,
            registry=kept,
        )
        self.redactions = Counter(
            "underlay_redactions", "Places in texts that were redacted before they were kept", ["kind"], registry=kept
        )
        self.reviewed = Counter(
            "underlay_reviewed", "Answers that a person has judged", ["model", "target", "right"], registry=kept
        )
        Gauge("underlay_queue_rows", "Rows that wait to be answered", registry=kept).set_function(waiting)
        self.queue_full = Gauge("underlay_queue_full_ratio", "Of the fullest queue: 1 refuses", registry=kept)
        self.ready = Gauge("underlay_ready", "1 while new requests are welcome", registry=kept)
        ProcessCollector(registry=kept)
        for route in ANSWERED:
            for status in _STATUSES:
                self.requests.labels(route, status)
        for reason in _AWAITED:
            self.errors.labels(reason)

    def refused(self, reason: str) -> None:
        """Count a request without an answer."""
        if reason not in self._reasons and len(self._reasons) >= REASONS:
            reason = OTHER
        self._reasons.add(reason)
        self.errors.labels(reason).inc()

    def know(self, model: str, targets: Sequence[Target]) -> None:
        """Count the labels of these targets by themselves, as far as there is room; those known before stay so."""
        for target in targets:
            known = self._names.get((model, target.name), frozenset())
            more = [label for label in target.labels if label not in known]
            self._names[model, target.name] = known.union(more[: max(0, LABELS - len(known))])
            for label in self._names[model, target.name]:
                self.predictions.labels(model, target.name, label)
            for right in (True, False):
                self.reviewed.labels(model, target.name, str(right).lower())

    def answered(self, model: str, answer: Answer) -> None:
        """Count what one row was answered."""
        for target, said in answer.items():
            known = self._names[model, target]
            labels = said.prediction if isinstance(said.prediction, tuple) else (said.prediction,)
            for label in labels:
                if isinstance(label, str):
                    self.predictions.labels(model, target, label if label in known else OTHER).inc()
            if not math.isnan(said.confidence):
                self.confidence.labels(model, target).observe(said.confidence)

    def redacted(self, counts: Mapping[str, int]) -> None:
        """Count what was redacted, by kind."""
        for kind, count in counts.items():
            self.redactions.labels(kind).inc(count)

    def judged(self, model: str, target: str, right: bool) -> None:
        """Count that a person found an answer right or wrong."""
        self.reviewed.labels(model, target, str(right).lower()).inc()

    def text(self) -> bytes:
        """All figures in Prometheus's text format."""
        return generate_latest(self.registry)
