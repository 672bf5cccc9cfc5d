"""`/openapi.json` and `/docs`: the page is written by this server and loads nothing."""

import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from underlay.serve.entrance import json_response
from underlay.serve.openapi import openapi
from underlay.serve.predict import Endpoint
from underlay.serve.refusals import ANSWERS
from underlay.serve.service import Service

T = TypeVar("T")
POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "x-frame-options": "DENY"}


def document_endpoint(service: Service) -> Endpoint:
    """`GET /openapi.json`."""
    document = _OfEdition(service, openapi)

    async def document_of(_: Request) -> Response:
        return json_response(document())

    return document_of


def page_endpoint(service: Service) -> Endpoint:
    """`GET /docs`."""
    made = Environment(loader=PackageLoader("underlay.serve"), autoescape=True, undefined=StrictUndefined)
    template = made.get_template("docs.html.jinja")
    document, example = _OfEdition(service, openapi), _OfEdition(service, _written_example)

    async def page(request: Request) -> Response:
        text = template.render(
            document=document(), codes=ANSWERS, example=example(), base=str(request.base_url).rstrip("/")
        )
        return HTMLResponse(text, headers=POLICY)

    return page


class _OfEdition(Generic[T]):
    """What is made of the served models, made again when they have changed.

    Args:
        service: Of the models.
        make: Makes it.
    """

    def __init__(self, service: Service, make: Callable[[Service], T]) -> None:
        self._service = service
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        if self._made is None or self._made[0] != self._service.edition:
            self._made = (self._service.edition, self._make(self._service))
        return self._made[1]


def _written_example(service: Service) -> str:
    return json.dumps({"rows": [_example(service)]}, ensure_ascii=False).replace("'", "'\\''")


def _example(service: Service) -> dict[str, Any]:
    """A row to type; a column of files has the place where its base64 goes."""
    import numpy as np

    rng, described = np.random.default_rng(0), service.model.prod.inputs
    values = {
        name: "BASE64" if name in service.files else modality.probe(rng)
        for name, modality in service.served.bundle.modalities.items()
    }
    return {name: values[name] for name in described}
