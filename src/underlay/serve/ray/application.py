"""For Ray Serve's own configuration files, and KubeRay's: `import_path: underlay.serve.ray.application:build`.

There Ray's proxy is the edge, and not ours: what is no HTTP, slow peers, time-outs, a request whose front dies and an
application that is not there are answered in its words. What reaches a front is bounded, refused and answered in ours.
"""

from collections.abc import Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from underlay.bundle import open_bundle
from underlay.core import UsageError, nearest
from underlay.serve.access import Access
from underlay.serve.app import data_app
from underlay.serve.entrance import json_response
from underlay.serve.keys import read_keys
from underlay.serve.limits import Limits
from underlay.serve.named import Named, read_named
from underlay.serve.ray.deploying import HEALTH_SECONDS, Plan, deployment_of
from underlay.serve.ray.front import Deployed, RemoteVersion
from underlay.serve.ray.replica import Source
from underlay.serve.refusals import Refusal
from underlay.serve.served import Served
from underlay.serve.service import Service

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

ARGUMENTS = {"bundle": "", "keys": "", "limits": (), "replicas": (2, 4), "replica_cpus": 1.0, "fronts": 2}
"""What `build` takes, with what holds where nothing is said; the first two are needed."""


class Front:
    """Keys, bounds and answers, in a process that Ray makes.

    Args:
        replicas: That answer.
        named: The bundle and its name.
        keys: File of keys, on every machine.
        limits: Of the server.
    """

    def __init__(self, replicas: "DeploymentHandle[Any]", named: Named, keys: str, limits: Limits) -> None:
        served = Served(named.name, open_bundle(named.folder), named.label)
        deployed = Deployed(lambda source, bounds: replicas, lambda source: None)
        self._service = Service(served, limits=limits, make=partial(RemoteVersion, deployed=deployed))
        self._app = data_app(self._service, Access(Path(keys), failures=limits.failed_keys))
        self._begun = False

    async def __call__(self, request: Request) -> Response:
        """The answer to one request."""
        self._begin()
        try:
            receive = bounded(request.scope, request.receive, self._service)
        except Refusal as refusal:
            return json_response(refusal.to_dict(""), status=refusal.status, headers=refusal.headers)
        parts: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            parts.append(message)

        await self._app(request.scope, receive, send)
        if not parts:  # the sender has left, and nobody reads this
            return Response(status_code=499)
        answer = Response(b"".join(part.get("body", b"") for part in parts[1:]), status_code=parts[0]["status"])
        # Ray's proxy gives every answer the id that it gave the request.
        answer.raw_headers = [pair for pair in parts[0]["headers"] if pair[0].lower() != b"x-request-id"]
        return answer

    async def check_health(self) -> None:
        """Raise where a new process is better. Replicas that are away are no fault of a front."""
        self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._service.start()
            self._begun = True


def bounded(scope: MutableMapping[str, Any], receive: Any, service: Service) -> Any:
    """A `receive` that gives up above the largest body; the header section is looked at now.

    Args:
        scope: Of the request.
        receive: Of the request.
        service: Whose limits hold.

    Raises:
        Refusal: `headers_too_large`, `url_too_long`, `body_too_large`.
    """
    limits, headers = service.limits, scope["headers"]
    url = len(scope["raw_path"] or b"") + len(scope["query_string"])
    if url > limits.url_bytes:
        raise Refusal("url_too_long")
    size = url + sum(len(name) + len(value) + 4 for name, value in headers)
    if len(headers) > limits.headers or size > limits.header_bytes:
        raise Refusal("headers_too_large")
    sizes = [value for name, value in headers if name == b"content-length"]
    if sizes and sizes[0].isdigit() and int(sizes[0]) > service.body_bytes:
        raise Refusal("body_too_large")
    left = service.body_bytes

    async def receive_within() -> Any:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise Refusal("body_too_large")
        return message

    return receive_within


def build(arguments: Mapping[str, Any]) -> "Application":
    """The application of Ray Serve that a configuration file describes.

    Args:
        arguments: `bundle` as `underlay serve` takes it, `keys` a file of keys; `limits` as in `--limit`, `replicas`
            and `replica_cpus` as there, `fronts` how many processes take requests in.

    Raises:
        UsageError: `arguments`, `name`, `limit`, `no_keys`, `replicas`.
        BundleRefused: The bundle is not what it was.
    """
    from ray import serve

    if unknown := sorted(set(arguments) - set(ARGUMENTS)):
        raise UsageError(f"{unknown[0]!r:.60} is no argument", nearest(unknown[0], sorted(ARGUMENTS)), code="arguments")
    if missing := [name for name in ("bundle", "keys") if not arguments.get(name)]:
        raise UsageError(f"the argument {missing[0]!r} is missing", "see deploy/kuberay.yaml", code="arguments")
    found = {**ARGUMENTS, **arguments}
    named, limits = read_named(found["bundle"]), Limits().with_settings(found["limits"])
    if not read_keys(Path(found["keys"])):
        raise UsageError(f"{found['keys']} holds no key", "make one with `underlay keys create`", code="no_keys")
    least, most = found["replicas"]
    plan = Plan(least, most, float(found["replica_cpus"]), waits=True)
    plan.check(0.0)
    seal = Served(named.name, open_bundle(named.folder), named.label).seal
    source = Source(named.name, str(named.folder.resolve()), named.label, seal)
    front: Any = serve.deployment(
        Front,
        name="front",
        num_replicas=int(found["fronts"]),
        max_ongoing_requests=limits.connections,
        max_queued_requests=limits.queue_rows,
        graceful_shutdown_timeout_s=limits.drain_seconds,
        health_check_period_s=HEALTH_SECONDS,
        health_check_timeout_s=HEALTH_SECONDS,
        ray_actor_options={"num_cpus": 0.5},
    )
    bound: Application = front.bind(deployment_of(source, limits, plan), named, found["keys"], limits)
    return bound
