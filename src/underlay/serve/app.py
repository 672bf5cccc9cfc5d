"""The routes of a server: one application for everybody, and one for whoever runs it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from underlay.serve.access import Access
from underlay.serve.entrance import Entrance
from underlay.serve.inference_protocol import (
    infer_endpoint,
    live_endpoint,
    model_endpoint,
    model_ready_endpoint,
    ready_endpoint,
    server_endpoint,
)
from underlay.serve.metrics import CONTENT_TYPE
from underlay.serve.page import document_endpoint, page_endpoint
from underlay.serve.predict import predict_endpoint
from underlay.serve.service import Service

PUBLIC = ("/v2/health/live", "/v2/health/ready")
"""The only addresses that need no key: whoever balances the load has none."""


def data_app(service: Service, access: Access) -> Entrance:
    """What everybody with a key of scope `predict` may ask.

    Args:
        service: The model and its queue.
        access: Who may.
    """
    routes = [
        Route("/predict", predict_endpoint(service), methods=["POST"]),
        Route("/v2/health/live", live_endpoint()),
        Route("/v2/health/ready", ready_endpoint(service)),
        Route("/v2", server_endpoint()),
        Route("/v2/models/{name}", model_endpoint(service)),
        Route("/v2/models/{name}/ready", model_ready_endpoint(service)),
        Route("/v2/models/{name}/infer", infer_endpoint(service), methods=["POST"]),
        Route("/openapi.json", document_endpoint(service)),
        Route("/docs", page_endpoint(service)),
    ]
    return Entrance(
        Router(routes, redirect_slashes=False), service=service, access=access, scope="predict", public=PUBLIC
    )


def admin_app(service: Service, access: Access) -> Entrance:
    """What a key of scope `admin` may ask, on a port of its own that only this machine reaches.

    Args:
        service: Whose figures.
        access: Who may.
    """

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return Entrance(
        Router([Route("/metrics", metrics)], redirect_slashes=False), service=service, access=access, scope="admin"
    )
