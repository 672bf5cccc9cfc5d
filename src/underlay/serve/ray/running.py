"""`underlay serve --on ray`: this process is the entrance, replicas on a Ray cluster answer."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from underlay.core import MissingExtra
from underlay.serve.limits import Limits
from underlay.serve.ray.cluster import joined
from underlay.serve.ray.deploying import Plan, delete, deploy, read_replicas, start_serving
from underlay.serve.ray.front import Deployed, RemoteVersion
from underlay.serve.ray.law import CALM
from underlay.serve.running import Settings, Started
from underlay.serve.running import run as run_here
from underlay.serve.served import Served
from underlay.serve.version import Version


@dataclass(frozen=True)
class Fleet:
    """Where replicas run.

    Args:
        address: Of a Ray cluster; None: one of this machine alone, which ends with the server.
        replicas: `LEAST:MOST`; None: two to as many as there is room for.
        cpus: That each takes.
        calm: Seconds that fewer must have been enough before some go.
    """

    address: str | None = None
    replicas: str | None = None
    cpus: float = 1.0
    calm: float = CALM


class _Joining:
    """Makes versions of replicas; meets the cluster for the first, when all that can be refused here was not."""

    def __init__(self, fleet: Fleet, stack: contextlib.ExitStack) -> None:
        self._fleet = fleet
        self._stack = stack
        self._plan: Plan | None = None

    def __call__(self, served: Served, *, limits: Limits, observe: Callable[[int, float], None]) -> Version:
        if self._plan is None:
            self._plan = self._join()
        deployed = Deployed(partial(deploy, plan=self._plan), partial(delete, limits=limits, plan=self._plan))
        return RemoteVersion(served, limits=limits, deployed=deployed, observe=observe)

    def _join(self) -> Plan:
        fleet = self._fleet
        available = self._stack.enter_context(joined(fleet.address))
        least, most = read_replicas(fleet.replicas, available=available, cpus=fleet.cpus)
        plan = Plan(least, most, fleet.cpus, fleet.calm, waits=fleet.address is not None)
        plan.check(available)
        start_serving()
        return plan


def run(settings: Settings, fleet: Fleet, *, started: Callable[[Started], None] = lambda told: None) -> None:
    """As `underlay.serve.running.run`, with replicas that answer.

    Args:
        settings: Of the server.
        fleet: Where replicas run.
        started: Told once, when both ports and the least replicas answer.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: `replicas`, `cluster_token`, `address`, or as there.
        ServiceAway: `cluster_away`, `replicas_failed`.
        ResourceError: As there.
        BundleRefused: As there.
    """
    if find_spec("ray") is None:
        raise MissingExtra("serving on Ray", "ray")
    with contextlib.ExitStack() as stack:
        run_here(settings, started=started, make=_Joining(fleet, stack))
