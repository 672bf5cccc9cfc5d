"""A version's replicas as an application of Ray Serve."""

import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from underlay.core import ServiceAway, UsageError
from underlay.serve.limits import Limits
from underlay.serve.ray.cluster import REPORT_SECONDS
from underlay.serve.ray.law import CALM
from underlay.serve.ray.replica import Replica, Source
from underlay.serve.ray.scaling import OfferedLoad

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

LOG = logging.getLogger("underlay.serve")

DEPLOYMENT = "model"
FAILED = ("DEPLOY_FAILED", "UNHEALTHY")
GONE = ("", "NOT_STARTED", *FAILED)
"""What Ray calls an application that will not answer by itself."""

START_SECONDS = 600.0
"""Until replicas answer: a machine that has to be made first takes minutes."""

LOOK_BACK = 12.0
"""Seconds of reports that Ray keeps for the law; more than the ten below which it warns."""

HEALTH_SECONDS = 5.0
"""Between two looks at a replica, and for its answer; after three that fail it is replaced."""


@dataclass(frozen=True)
class Plan:
    """How many replicas, and what each takes.

    Args:
        least: At least; with two, the end of one loses no request and no time.
        most: At most.
        cpus: That each takes of what a machine says it has; below 1, several share one.
        calm: Seconds that fewer must have been enough before some go.
        waits: Whether the cluster may grow for them; else they must fit now.
    """

    least: int
    most: int
    cpus: float = 1.0
    calm: float = CALM
    waits: bool = False

    def check(self, available: float) -> None:
        """Refuse what cannot be.

        Args:
            available: CPUs of the cluster.

        Raises:
            UsageError: `replicas`.
        """
        if not (1 <= self.least <= self.most and self.cpus > 0 and self.calm > 0):
            raise UsageError(
                f"{self.least} to {self.most} replicas of {self.cpus:g} CPUs cannot be",
                "pass --replicas LEAST:MOST with 1 <= LEAST <= MOST, and --replica-cpus above 0",
                code="replicas",
            )
        if not self.waits and self.least * self.cpus > available:
            raise UsageError(
                f"{self.least} replicas of {self.cpus:g} CPUs need {self.least * self.cpus:g}; there are {available:g}",
                "pass fewer with --replicas, or a smaller --replica-cpus",
                code="replicas",
            )


def read_replicas(text: str | None, *, available: float, cpus: float) -> tuple[int, int]:
    """The least and the most of `LEAST:MOST`; without a word, two to as many as there is room for.

    Raises:
        UsageError: `replicas`.

    >>> read_replicas("1:3", available=2, cpus=1)
    (1, 3)
    >>> read_replicas(None, available=8, cpus=2)
    (2, 4)
    """
    if text is None:
        most = max(1, int(available / cpus)) if cpus > 0 else 1
        return min(2, most), most
    least, colon, most_text = text.partition(":")
    try:
        return int(least), int(most_text) if colon else int(least)
    except ValueError:
        raise UsageError(f"{text!r:.40} names no replicas", "pass --replicas 2:8", code="replicas") from None


def deployment_of(source: Source, limits: Limits, plan: Plan) -> "Application":
    """The replicas of one version, as Ray Serve is told of them.

    Args:
        source: The bundle.
        limits: Of the server.
        plan: How many.
    """
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

    policy: Any = AutoscalingPolicy  # declares no types
    law = policy(policy_function=f"{OfferedLoad.__module__}.{OfferedLoad.__name__}", policy_kwargs={"calm": plan.calm})
    scaling = AutoscalingConfig(
        min_replicas=plan.least,
        initial_replicas=plan.least,
        max_replicas=plan.most,
        look_back_period_s=LOOK_BACK,
        upscale_delay_s=0.0,
        downscale_delay_s=0.0,
        policy=law,
    )
    deployment: Any = serve.deployment(
        Replica,
        name=DEPLOYMENT,
        max_ongoing_requests=2 * limits.batch_rows,  # one batch is answered while the next is gathered
        max_queued_requests=limits.queue_rows,
        autoscaling_config=scaling,
        graceful_shutdown_wait_loop_s=1.0,
        graceful_shutdown_timeout_s=limits.drain_seconds,
        health_check_period_s=HEALTH_SECONDS,
        health_check_timeout_s=HEALTH_SECONDS,
        ray_actor_options={
            "num_cpus": plan.cpus,
            "runtime_env": {"env_vars": {"RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": REPORT_SECONDS}},
        },
    )
    bound: Application = deployment.bind(source, limits)
    return bound


def name_of(source: Source, limits: Limits, plan: Plan) -> str:
    """What Ray calls the application: the same for fronts of one bundle that are told the same, also after a crash.

    They share its replicas; to deploy it again would be a change to Ray, which would replace what answers.

    Args:
        source: The bundle.
        limits: Of the server.
        plan: How many.
    """
    told = sha256(repr((version("underlay"), source.label, limits, plan)).encode()).hexdigest()
    return f"underlay-{source.name}-{source.seal[:12]}-{told[:8]}"


def deploy(source: Source, limits: Limits, *, plan: Plan, seconds: float = START_SECONDS) -> "DeploymentHandle[Any]":
    """Have replicas that answer; returns when the least of them do. In any thread.

    Args:
        source: The bundle.
        limits: Of the server.
        plan: How many.
        seconds: Until they must.

    Raises:
        ServiceAway: `replicas_failed`.
    """
    from ray import serve
    from ray.serve import RunTarget

    name, until = name_of(source, limits, plan), time.monotonic() + seconds
    begun = False
    while True:
        found = serve.status().applications.get(name)
        status = "" if found is None else str(found.status.value)
        if status == "RUNNING":
            return serve.get_app_handle(name)
        if not begun and status in GONE:
            target = RunTarget(deployment_of(source, limits, plan), name=name, route_prefix=None)
            serve.run_many([target], wait_for_applications_running=False)
            begun = True
        elif status in FAILED or time.monotonic() > until:
            said = _said(found.deployments[DEPLOYMENT].message if found and found.deployments else status)
            serve.delete(name)
            raise ServiceAway(
                f"the replicas of {source.name} do not answer: {said}",
                "the log of the replica, under /tmp/ray/session_latest/logs/serve, says more",
                code="replicas_failed",
            )
        time.sleep(0.1)


def delete(source: Source, *, limits: Limits, plan: Plan) -> None:
    """End the replicas of a version; those that answer finish first.

    Args:
        source: The bundle.
        limits: As it was deployed.
        plan: As it was deployed.
    """
    from ray import serve

    serve.delete(name_of(source, limits, plan))


def start_serving() -> None:
    """Have Ray Serve without an entrance of its own: requests come in by ours."""
    from ray import serve

    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})


def _said(message: str) -> str:
    """The last line of a report that is none of a stack."""
    lines: list[str] = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason was given"
