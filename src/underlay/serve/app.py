"""The routes of a server: one application for everybody, and one for whoever runs it."""

from starlette.routing import Route, Router

from underlay.serve.access import Access
from underlay.serve.admin import Admin
from underlay.serve.entrance import Entrance
from underlay.serve.inference_protocol import (
    infer_endpoint,
    live_endpoint,
    model_endpoint,
    model_ready_endpoint,
    ready_endpoint,
    server_endpoint,
)
from underlay.serve.page import document_endpoint, page_endpoint
from underlay.serve.predict import predict_endpoint
from underlay.serve.releases import Releases
from underlay.serve.service import Service

PUBLIC = ("/v2/health/live", "/v2/health/ready")
"""The only addresses that need no key: whoever balances the load has none."""


def data_app(service: Service, access: Access) -> Entrance:
    """What everybody with a key of scope `predict` may ask.

    Args:
        service: The models.
        access: Who may.
    """
    routes = [
        Route("/predict", predict_endpoint(service), methods=["POST"]),
        Route("/predict/{name}", predict_endpoint(service), methods=["POST"]),
        Route("/predict/{name}/versions/{version}", predict_endpoint(service), methods=["POST"]),
        Route("/v2/health/live", live_endpoint()),
        Route("/v2/health/ready", ready_endpoint(service)),
        Route("/v2", server_endpoint()),
        *(
            route
            for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
            for route in (
                Route(path, model_endpoint(service)),
                Route(f"{path}/ready", model_ready_endpoint(service)),
                Route(f"{path}/infer", infer_endpoint(service), methods=["POST"]),
            )
        ),
        Route("/openapi.json", document_endpoint(service)),
        Route("/docs", page_endpoint(service)),
        *service.records.routes(),
    ]
    return Entrance(
        Router(routes, redirect_slashes=False),
        service=service,
        access=access,
        scope="predict",
        public=PUBLIC,
        scopes=service.records.scopes,
    )


def admin_app(releases: Releases, access: Access) -> Entrance:
    """What a key of scope `admin` may ask, on a port of its own that only this machine reaches.

    Args:
        releases: Changes to what is served.
        access: Who may.
    """
    router = Router(Admin(releases).routes(), redirect_slashes=False)
    return Entrance(router, service=releases.service, access=access, scope="admin")
