"""`POST /predict`, and the same of another model or version: plain JSON in, plain JSON out."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from underlay.core import Target, are_span_tags, find_spans
from underlay.serve.entrance import deadline_of, json_response, read_body
from underlay.serve.questions import Question, read_question
from underlay.serve.records import dropping
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import parse_apart
from underlay.serve.served import Answer, Said
from underlay.serve.service import Service

DIGITS = 6
"""Of a probability: more are noise between machines, and tell a copier of the model more than they tell a user."""

SHOWN = 10
"""Labels of a ranked answer, as the bundle gives them."""

Endpoint = Callable[[Request], Awaitable[Response]]


def predict_endpoint(service: Service) -> Endpoint:
    """What answers `/predict`, `/predict/NAME` and `/predict/NAME/versions/VERSION`."""

    async def predict(request: Request) -> Response:
        deadline, asked = deadline_of(request), service.find(request)
        sent = await read_body(request)
        if len(sent) > service.body_bytes_of(asked.model):
            raise Refusal("body_too_large")
        body = await parse_apart(sent)
        form = asked.model.form
        question = read_question(body, form.names, files=form.files, limits=service.limits)
        with service.answering(asked, question.rows) as version:
            record = await service.records.begin(request, sent, question.rows, version.served)
            if record.stored is not None:
                return json_response(_told(record.stored, question))
            with dropping(record):
                answers = await service.ask(
                    asked, version, question.rows, receive=request.receive, deadline=deadline,
                    place=lambda number: f"/rows/{number}" if "rows" in body else "/row",
                )  # fmt: skip
            targets = version.served.targets
            said = [said_of_row(answer, targets, scores=question.scores) for answer in answers]
            told: dict[str, Any] = {
                "model": asked.model.name,
                "version": version.label,
                "predictions": said,
            }
            kept = [said_of_row(answer, targets, scores=False) for answer in answers] if question.scores else said
            told = await record.finish(answers, kept, told)
        service.shadow(asked, question.rows, answers)
        return json_response(_told(told, question))

    return predict


def _told(told: dict[str, Any], question: Question) -> dict[str, Any]:
    return told if question.id is None else told | {"id": question.id}


def said_of_row(answer: Answer, targets: Sequence[Target], *, scores: bool) -> dict[str, Any]:
    """What one row was answered, by target, as JSON data.

    Args:
        answer: Of the row.
        targets: Of the bundle.
        scores: Add the probability of every label.
    """
    return {target.name: said_of_target(answer[target.name], target, scores=scores) for target in targets}


def said_of_target(said: Said, target: Target, *, scores: bool) -> Mapping[str, Any]:
    """`prediction`, for labels `confidence`, for tags that mark spans `spans`, and `scores` if asked.

    Args:
        said: Of one target of one row.
        target: Which.
        scores: By label; of tags those of what was said, one a unit; of a ranking those of the ten, in order.
    """
    prediction = list(said.prediction) if isinstance(said.prediction, tuple) else said.prediction
    told: dict[str, Any] = {"prediction": prediction}
    if not math.isnan(said.confidence):
        told["confidence"] = round(said.confidence, DIGITS)
    if target.by_unit and are_span_tags(target.labels):
        told["spans"] = [span._asdict() for span in find_spans(said.prediction)]
    if scores and target.labels:
        told["scores"] = scores_of(said.probabilities, target)
    return told


def scores_of(probabilities: np.ndarray, target: Target) -> dict[str, float] | list[float | None]:
    """Probabilities of one row as JSON data."""
    if target.by_unit:
        best = probabilities.max(-1, initial=0.0)
        return [None if math.isnan(value) else round(float(value), DIGITS) for value in best]
    if target.ranked:
        return [round(float(value), DIGITS) for value in -np.sort(-probabilities)[:SHOWN]]
    return {label: round(float(value), DIGITS) for label, value in zip(target.labels, probabilities, strict=True)}
