"""The addresses for those who review."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from underlay.serve.entrance import json_response, read_body
from underlay.serve.predict import Endpoint
from underlay.serve.records import key_of
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import check_object, parse_apart
from underlay.serve.state.idempotency import once_of
from underlay.serve.state.reviews import Decision, give_back, lease, list_items

if TYPE_CHECKING:
    from underlay.serve.state.journal import Journal


def review_routes(journal: "Journal") -> list[Route]:
    """Every address."""
    return [
        Route("/review", list_endpoint(journal)),
        Route("/review/lease", lease_endpoint(journal), methods=["POST"]),
        Route("/review/decide", decide_endpoint(journal), methods=["POST"]),
        Route("/review/release", release_endpoint(journal), methods=["POST"]),
    ]


def list_endpoint(journal: "Journal") -> Endpoint:
    """`GET /review`: the oldest that wait, or with `?decided=true` the newest that are decided."""

    async def reviews(request: Request) -> Response:
        decided = request.query_params.get("decided", "false")
        if decided not in ("true", "false"):
            raise Refusal("wrong_type", field="/decided", expected="true or false")
        now = time.time_ns() // 1_000
        return json_response(
            {"items": await journal.read(lambda connection: list_items(connection, now=now, decided=decided == "true"))}
        )

    return reviews


def lease_endpoint(journal: "Journal") -> Endpoint:
    """`POST /review/lease`: one item for ten minutes."""

    async def review_lease(request: Request) -> Response:
        body = _read(await parse_apart(await read_body(request)), {"item": str}, needed=())
        holder, item, eyes = key_of(request), body.get("item"), journal.reviews.four_eyes
        return json_response(await journal.durably(lambda one: lease(one, holder=holder, item=item, four_eyes=eyes)))

    return review_lease


def decide_endpoint(journal: "Journal") -> Endpoint:
    """`POST /review/decide`."""

    async def review_decide(request: Request) -> Response:
        sent = await read_body(request)
        body = _read(
            await parse_apart(sent), {"item": str, "version": int, "labels": dict}, needed=("item", "version", "labels")
        )
        decision = Decision(body["item"], body["version"], body["labels"], key_of(request))
        once, eyes = once_of(request, decision.key, sent), journal.reviews.four_eyes
        if (stored := await journal.answered_before(request, once)) is not None:
            return json_response(stored)
        return json_response(await journal.durably(lambda one: decision.write(one, once=once, four_eyes=eyes)))

    return review_decide


def release_endpoint(journal: "Journal") -> Endpoint:
    """`POST /review/release`."""

    async def review_release(request: Request) -> Response:
        body = _read(await parse_apart(await read_body(request)), {"item": str}, needed=("item",))
        holder = key_of(request)
        return json_response(await journal.durably(lambda one: give_back(one, holder=holder, item=body["item"])))

    return review_release


def _read(body: Any, known: Mapping[str, type], *, needed: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a body.

    Raises:
        Refusal: `wrong_type`, `unknown_field`, `missing_field`.
    """
    check_object(body, known, needed)
    for name, value in body.items():
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise Refusal("wrong_type", field=f"/{name}", expected=_TYPES[known[name]])
    return dict(body)


_TYPES = {str: "string", int: "integer", dict: "object"}
