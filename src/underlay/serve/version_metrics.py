"""What is counted of each version, so that a canary can be compared with what it may replace."""

import contextlib
import weakref

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from underlay.serve.version import Version

_OF = ["model", "version"]
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

AGREED, DIFFERED, FAILED, DROPPED = OUTCOMES = ("agreed", "differed", "failed", "dropped")
"""Of a row that a shadow was asked: its answer was the one that was given, another, none; or it was not asked."""


class VersionMetrics:
    """Figures by model and version; those of a version that is unloaded go with it, so their number is bounded.

    Args:
        registry: Of the server's figures.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter("underlay_version_answers", "Requests it answered", _OF, registry=registry)
        self.failures = Counter(
            "underlay_version_failures", "Requests it should have answered: 5xx", _OF, registry=registry
        )
        self.seconds = Histogram(
            "underlay_version_seconds", "Reading, waiting and answering", _OF, buckets=_SECONDS, registry=registry
        )
        self.shadowed = Counter(
            "underlay_shadow_rows", "Rows a shadow was asked too", [*_OF, "outcome"], registry=registry
        )
        self.weight = Gauge("underlay_version_weight", "Share of the requests it answers", _OF, registry=registry)
        self.hung = Gauge("underlay_version_hung", "1 while a batch takes too long", _OF, registry=registry)
        self.changed = Gauge(
            "underlay_bundle_changed", "1 if its folder is no longer what was loaded", _OF, registry=registry
        )

    def watch(self, version: Version) -> None:
        """Show how a version is whenever figures are read; holds it weakly, as figures outlive what they tell of."""
        seen = weakref.ref(version)
        of = (version.served.name, version.label)
        self.hung.labels(*of).set_function(lambda: float((now := seen()) is not None and now.hung))
        self.changed.labels(*of).set_function(lambda: float((now := seen()) is not None and now.changed))

    def forget(self, model: str, version: str) -> None:
        """Drop the figures of a version that is gone."""
        for metric in (self.answers, self.failures, self.seconds, self.weight, self.hung, self.changed):
            _drop(metric, model, version)
        for outcome in OUTCOMES:
            _drop(self.shadowed, model, version, outcome)


def _drop(metric: Counter | Gauge | Histogram, *labels: str) -> None:
    with contextlib.suppress(KeyError):  # it was never counted
        metric.remove(*labels)
