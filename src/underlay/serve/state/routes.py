"""The addresses that there are only where answers are kept."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from underlay.serve.entrance import json_response, read_body
from underlay.serve.openapi import object_of
from underlay.serve.predict import Endpoint
from underlay.serve.records import Described, key_of
from underlay.serve.request_json import parse_apart
from underlay.serve.state.feedback import read_feedback
from underlay.serve.state.idempotency import once_of
from underlay.serve.state.review_routes import review_routes

if TYPE_CHECKING:
    from underlay.serve.state.journal import Journal


def feedback_endpoint(journal: "Journal") -> Endpoint:
    """`POST /feedback`."""

    async def feedback(request: Request) -> Response:
        sent = await read_body(request)
        said = read_feedback(await parse_apart(sent), key_of(request))
        once = once_of(request, said.key, sent)
        if (stored := await journal.answered_before(request, once)) is not None:
            return json_response(stored)
        kept = await journal.durably(lambda transaction: said.write(transaction, once=once, judged=journal.judged))
        return json_response(kept)

    return feedback


SCOPES = {"/feedback": "feedback", "/review": "review"}
"""What a key needs, by the first step of the path."""


def routes_of(journal: "Journal") -> list[Route]:
    """Every address."""
    return [Route("/feedback", feedback_endpoint(journal), methods=["POST"]), *review_routes(journal)]


def described() -> Described:
    """The same for `/openapi.json`."""
    text, label = {"type": "string"}, {"description": "As the target has it: a label, a list of labels, or a number."}
    asked = {
        "prediction_id": {**text, "description": "As it came with the answer."},
        "target": {**text, "description": "May be left out where there is one."},
        "label": label,
    }
    told = {"feedback_id": text, "prediction_id": text, "target": text}
    item = {"item": {**text, "description": "As a list shows it."}}
    decided = item | {"version": {"type": "integer"}, "labels": {"type": "object", "description": "By target."}}
    return Described(
        posted={
            "/feedback": ("Feedback", "FeedbackKept"),
            "/review/lease": ("ReviewLease", "ReviewItem"),
            "/review/decide": ("ReviewDecision", "ReviewDecided"),
            "/review/release": ("ReviewRelease", "ReviewItem"),
        },
        got={"/review": ("What waits for a person; `?decided=true` for what was decided", "ReviewItems")},
        schemas={
            "ReviewLease": object_of(item, needed=[]),
            "ReviewDecision": object_of(decided),
            "ReviewRelease": object_of(item),
            "ReviewItem": {"type": "object"},
            "ReviewDecided": {"type": "object"},
            "ReviewItems": object_of({"items": {"type": "array", "items": {"type": "object"}}}),
            "Feedback": object_of(asked, needed=["prediction_id", "label"]),
            "FeedbackKept": object_of(told),
        },
    )
