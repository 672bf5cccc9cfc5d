"""The addresses of the second listener, for whoever runs the server: strict JSON, and a key of scope `admin`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from underlay.core import UsageError
from underlay.serve.admin_openapi import admin_openapi
from underlay.serve.admin_refusals import AdminRefusal
from underlay.serve.entrance import json_response, read_body
from underlay.serve.metrics import CONTENT_TYPE
from underlay.serve.model import Model
from underlay.serve.named import check_label, check_name
from underlay.serve.predict import Endpoint
from underlay.serve.records import key_of
from underlay.serve.refusals import Refusal
from underlay.serve.releases import Releases, pointed_to_prod, rolled_back, with_canary, with_shadow
from underlay.serve.request_json import check_object, parse, pointer


class Admin:
    """Endpoints over what an operator may change.

    Args:
        releases: The changes.
    """

    def __init__(self, releases: Releases) -> None:
        self._releases = releases
        self._service = releases.service

    def routes(self) -> list[Route]:
        """Every address."""
        model, alias = "/models/{name}", "/models/{name}/aliases"
        return [
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.document),
            Route("/models", self.models),
            _route(model, GET=self.model, DELETE=self.remove),
            Route(f"{model}/versions", self.load, methods=["POST"]),
            Route(f"{model}/versions/{{version}}", self.unload, methods=["DELETE"]),
            Route(f"{alias}/prod", self.prod, methods=["PUT"]),
            _route(f"{alias}/canary", PUT=self.canary, DELETE=self.no_canary),
            _route(f"{alias}/shadow", PUT=self.shadow, DELETE=self.no_shadow),
            Route(f"{model}/rollback", self.roll_back, methods=["POST"]),
            Route(f"{model}/stop", self.stop, methods=["POST"]),
            Route(f"{model}/start", self.start, methods=["POST"]),
            Route("/stop", self.stop, methods=["POST"]),
            Route("/start", self.start, methods=["POST"]),
        ]

    async def metrics(self, _: Request) -> Response:
        """`GET /metrics`: figures for Prometheus."""
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    async def document(self, _: Request) -> Response:
        """`GET /openapi.json`: these addresses."""
        return json_response(admin_openapi())

    async def models(self, _: Request) -> Response:
        """`GET /models`: all that is loaded."""
        models = [self._told(model) for model in self._service.models.values()]
        return json_response({"default": self._service.default, "stopped": self._service.stopped, "models": models})

    async def model(self, request: Request) -> Response:
        """`GET /models/{name}`."""
        return json_response(self._told(self._releases.model(request.path_params["name"])))

    async def load(self, request: Request) -> Response:
        """`POST /models/{name}/versions`: `{"bundle": FOLDER, "version": LABEL}`."""
        body = await _read(request, known=("bundle", "version"), needed=("bundle",))
        name, folder, label = request.path_params["name"], _text(body, "bundle"), body.get("version")
        if not Path(folder).is_absolute():
            raise AdminRefusal("folder", field="/bundle")
        try:
            check_name(name)
            if label is not None:
                check_label(_text(body, "version"))
        except UsageError:
            raise AdminRefusal("model_name") from None
        version, new = await self._releases.load(name, Path(folder), label, actor=key_of(request))
        told = {"model": name, "version": version.label, "seal": version.served.seal}
        return json_response(told, status=201 if new else 200)

    async def unload(self, request: Request) -> Response:
        """`DELETE /models/{name}/versions/{version}`."""
        _refuse_keyless(request)
        name, label = request.path_params["name"], request.path_params["version"]
        answered = await self._releases.unload(name, label, actor=key_of(request))
        return json_response({"model": name, "version": label, "answered_all": answered})

    async def remove(self, request: Request) -> Response:
        """`DELETE /models/{name}`."""
        _refuse_keyless(request)
        name = request.path_params["name"]
        return json_response({"model": name, "answered_all": await self._releases.remove(name, actor=key_of(request))})

    async def prod(self, request: Request) -> Response:
        """`PUT /models/{name}/aliases/prod`: `{"version": LABEL, "was": LABEL}`."""
        body = await _read(request, known=("version", "was"), needed=("version",))
        return await self._moved(request, "prod", body, pointed_to_prod(_text(body, "version")))

    async def canary(self, request: Request) -> Response:
        """`PUT /models/{name}/aliases/canary`: `{"version": LABEL, "weight": SHARE, "was": LABEL}`."""
        body = await _read(request, known=("version", "weight", "was"), needed=("version", "weight"))
        weight = body["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise Refusal("wrong_type", field="/weight", expected="number")
        if not (math.isfinite(weight) and 0 < weight <= 1):
            raise AdminRefusal("weight", field="/weight")
        return await self._moved(request, "canary", body, with_canary(_text(body, "version"), float(weight)))

    async def no_canary(self, request: Request) -> Response:
        """`DELETE /models/{name}/aliases/canary`."""
        return await self._moved(request, "canary", {}, with_canary(None, 0.0))

    async def shadow(self, request: Request) -> Response:
        """`PUT /models/{name}/aliases/shadow`: `{"version": LABEL, "was": LABEL}`."""
        body = await _read(request, known=("version", "was"), needed=("version",))
        return await self._moved(request, "shadow", body, with_shadow(_text(body, "version")))

    async def no_shadow(self, request: Request) -> Response:
        """`DELETE /models/{name}/aliases/shadow`."""
        return await self._moved(request, "shadow", {}, with_shadow(None))

    async def roll_back(self, request: Request) -> Response:
        """`POST /models/{name}/rollback`: `{}`."""
        await _read(request, known=(), needed=())
        return await self._moved(request, "prod", {}, rolled_back)

    async def stop(self, request: Request) -> Response:
        """`POST [/models/{name}]/stop`: `{}`."""
        return await self._switched(request, stopped=True)

    async def start(self, request: Request) -> Response:
        """`POST [/models/{name}]/start`: `{}`."""
        return await self._switched(request, stopped=False)

    async def _switched(self, request: Request, *, stopped: bool) -> Response:
        await _read(request, known=(), needed=())
        name = request.path_params.get("name")
        await self._releases.switch(name, stopped=stopped, actor=key_of(request))
        return json_response({"model": name, "stopped": stopped})

    async def _moved(self, request: Request, alias: str, body: dict[str, Any], changed: Any) -> Response:
        _refuse_keyless(request)
        was = body.get("was")
        if not isinstance(was, str | None):
            raise Refusal("wrong_type", field="/was", expected="string or null")
        known = {alias: was} if "was" in body else None
        model = await self._releases.move(request.path_params["name"], changed, actor=key_of(request), was=known)
        return json_response({"model": model.name, **model.aliases.to_dict()})

    def _told(self, model: Model) -> dict[str, Any]:
        return {
            "name": model.name,
            "ready": model.ready,
            "stopped": model.stopped,
            **model.aliases.to_dict(),
            "versions": [
                {
                    "version": label,
                    "seal": version.served.seal,
                    "bundle": str(Path(version.served.bundle.path or "").absolute()),
                    "aliases": model.aliases.to(label),
                    "ready": version.ready,
                    "changed_on_disk": version.changed,
                    "waiting": version.batcher.waiting,
                }
                for label, version in model.versions.items()
            ],
        }


def _route(path: str, **endpoints: Endpoint) -> Route:
    """One route of several methods, so that the Allow header of a refusal names them all."""

    async def either(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    either.__name__ = next(iter(endpoints.values())).__name__
    return Route(path, either, methods=list(endpoints))


def _refuse_keyless(request: Request) -> None:
    """The minutes in which no key is needed are for questions, not for changes.

    Raises:
        Refusal: `no_key`.
    """
    if request.scope.get("underlay.key") is None:
        raise Refusal("no_key")


async def _read(request: Request, *, known: Sequence[str], needed: Sequence[str]) -> dict[str, Any]:
    """The body: an object of these fields.

    Raises:
        Refusal: `wrong_type`, `unknown_field`, `missing_field`, and what a body can be refused for.
    """
    _refuse_keyless(request)
    body: dict[str, Any] = parse(await read_body(request))
    check_object(body, known, needed)
    return body


def _text(body: dict[str, Any], name: str) -> str:
    if not isinstance(body[name], str):
        raise Refusal("wrong_type", field=pointer([name]), expected="string")
    return str(body[name])
