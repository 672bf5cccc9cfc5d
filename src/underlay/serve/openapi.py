"""What can be asked, as OpenAPI 3.1, and as a page that needs nothing from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from underlay.core import Target
from underlay.serve.inference_protocol import INPUT
from underlay.serve.limits import Limits
from underlay.serve.model import Model
from underlay.serve.refusals import ANSWERS, ROW
from underlay.serve.service import Service

JSON = "application/json"
READING = ("bug", "no_key", "several_keys", "too_many_failures", "scope", "method", "bad_request", "headers_too_large",
           "url_too_long", "too_slow", "too_many_connections", "rate_limited", "quota_exceeded",
           "quota_unknown")  # fmt: skip
"""What any address may say; `ASKING` is what those say besides that take a body."""

ASKING = tuple(code for code in ANSWERS if code not in READING and code not in ("not_found", "not_ready"))


def openapi(service: Service) -> dict[str, Any]:
    """The document of one service.

    Args:
        service: Whose models' columns, targets and labels it names.
    """
    names, more = list(service.models), service.records.described()
    one = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": names}}
    label = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    predict, infer = _posted("Question", "Answers", "Error"), _posted("InferRequest", "InferResponse", "InferError")
    every = {
        path: operation
        for at, those in (("", [one]), ("/versions/{version}", [one, label]))
        for path, operation in (
            (f"/predict/{{name}}{at}", {"post": {**_of_any(predict, names), "parameters": [*those, *_HEADERS]}}),
            (
                f"/v2/models/{{name}}{at}",
                {"get": {**_got("Its tensors", "ModelMetadata"), "parameters": those}},
            ),
            (f"/v2/models/{{name}}{at}/ready", {"get": {**_got("Whether it is ready", "Ready"), "parameters": those}}),
            (f"/v2/models/{{name}}{at}/infer", {"post": {**_of_any(infer, names), "parameters": [*those, *_HEADERS]}}),
        )
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Underlay: {', '.join(names)}", "version": version("underlay"), "description": _DESCRIPTION},
        "security": [{"key": []}],
        "paths": {
            "/predict": {"post": {**predict, "parameters": _HEADERS}},
            "/v2/health/live": {"get": _public("Whether the process answers", "live")},
            "/v2/health/ready": {"get": _public("Whether new requests are welcome", "ready")},
            "/v2": {"get": _got("Who answers", "ServerMetadata")},
            **every,
            "/openapi.json": {"get": _got("This document", "Document")},
            "/docs": {"get": _got("This document as a page", "Page", kind="text/html")},
            **{
                path: {"post": {**_posted(asked, told, "Error"), "parameters": _HEADERS[1:]}}
                for path, (asked, told) in more.posted.items()
            },
            **{path: {"get": _got(summary, told)} for path, (summary, told) in more.got.items()},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`underlay keys create`"}},
            "schemas": {**_all_schemas(service), **more.schemas},
        },
    }


def _all_schemas(service: Service) -> dict[str, Any]:
    """Those of the default by their names, and those of every other model with its name behind."""
    found = _shared()
    for name, model in service.models.items():
        end = "" if name == service.default else f"-{name}"
        found |= {f"{key}{end}": one for key, one in _schemas(model, service.limits, end).items()}
    return found


def _of_any(operation: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The same of whichever model is named: its question, its answers."""

    def either(content: dict[str, Any]) -> dict[str, Any]:
        place = content[JSON]["schema"]["$ref"]
        return {JSON: {"schema": {"anyOf": [{"$ref": place}, *({"$ref": f"{place}-{name}"} for name in names[1:])]}}}

    if len(names) == 1:
        return dict(operation)
    done, body = operation["responses"]["200"], operation["requestBody"]
    responses = {**operation["responses"], "200": {**done, "content": either(done["content"])}}
    return {**operation, "requestBody": {**body, "content": either(body["content"])}, "responses": responses}


_DESCRIPTION = (
    "Columns, targets and labels are those of the bundle. Every refusal has a code, and a code always the same "
    "message. A row that the model cannot read is refused with a code of its modality, status 422: " + ROW[1]
)

_HEADERS: list[dict[str, Any]] = [
    {
        "name": "X-Deadline-Ms",
        "in": "header",
        "description": "After so many milliseconds the answer is of no use; less than the server allows.",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Given back with the answer; one of the server's own without it.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Where answers are kept: the same request sent again within a day gets the same answer.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    },
]


_TENSOR = {
    "name": {"type": "string"},
    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 3},
    "datatype": {"type": "string"},
    "parameters": {"type": "object"},
    "data": {"type": "array"},
}


def _shared() -> dict[str, Any]:
    """Schemas that are alike for every model."""
    error = {
        "code": {"type": "string", "examples": list(ANSWERS)},
        "message": {"type": "string"},
        "request_id": {"type": "string"},
        "field": {"type": "string", "description": "JSON pointer to what is wrong."},
        "expected": {"description": "What would be right."},
        "offset": {"type": "integer"},
    }
    return {
        "Error": object_of({"error": object_of(error, needed=["code", "message", "request_id"])}),
        "InferError": object_of({"error": {"type": "string"}}),
        "ServerMetadata": {"type": "object"},
        "ModelMetadata": {"type": "object"},
        "Ready": {"type": "object"},
        "Document": {"type": "object"},
        "Page": {"type": "string"},
    }


def _schemas(model: Model, limits: Limits, end: str) -> dict[str, Any]:
    """What one model is asked and answers; a reference to a schema of its own has `end` behind its name."""
    served, described = model.served, model.prod.inputs
    answers = object_of({target.name: _answer(target) for target in served.targets})
    one = {"$ref": f"#/components/schemas/Row{end}"}
    asked = {
        "row": one,
        "rows": {"type": "array", "items": one, "minItems": 1, "maxItems": limits.items},
        "scores": {"type": "boolean", "default": False, "description": "Add the probability of every label."},
        "id": {"type": ["string", "integer"], "description": "Given back as it came."},
    }
    posted = {"name": {"type": "string"}, "parameters": {"type": "object"}}
    return {
        "Row": object_of({name: _value(column, name in model.form.files) for name, column in described.items()}),
        "Question": {**object_of(asked, needed=[]), "oneOf": [{"required": ["row"]}, {"required": ["rows"]}]},
        "Answers": object_of(
            {
                "model": {"const": served.name},
                "version": {"type": "string"},
                "predictions": {"type": "array", "items": answers},
                "id": {"type": ["string", "integer"]},
                "prediction_ids": {"type": "array", "items": {"type": "string"}, "description": "If they are kept."},
            },
            needed=["model", "version", "predictions"],
        ),
        "InferRequest": object_of(
            {
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "inputs": {
                    "type": "array",
                    "items": object_of(_TENSOR, needed=[name for name in INPUT if name != "parameters"]),
                    "description": "One a column: " + json.dumps(list(described.values())),
                },
                "outputs": {"type": "array", "items": object_of(posted, needed=["name"])},
            },
            needed=["inputs"],
        ),
        "InferResponse": object_of(
            {
                "model_name": {"const": served.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "outputs": {"type": "array", "items": object_of(_TENSOR, needed=["name", "shape", "datatype", "data"])},
            },
            needed=["model_name", "outputs"],
        ),
    }


def _value(described: Mapping[str, Any], file: bool) -> dict[str, Any]:
    """The JSON of one raw value of a column, as far as the form of its tensor tells it."""
    if file:
        return {"type": "string", "contentEncoding": "base64", "description": "A file, or `data:...;base64,...`."}
    if described.get("parameters"):
        return {"description": "JSON of the column's own form."}
    if described["datatype"] == "BYTES":
        return {"type": "string"}
    found: dict[str, Any] = {"type": ["number", "null"]}
    for _ in described["shape"][1:]:
        found = {"type": "array", "items": found}
    return found if described["shape"][1:] else {"type": ["number", "string", "null"]}


def _answer(target: Target) -> dict[str, Any]:
    label: dict[str, Any] = {"enum": list(target.labels)} if target.labels else {"type": "number"}
    if target.dense or target.task == "multilabel":
        label = {"type": "array", "items": label}
    told = {"prediction": label}
    if target.labels:
        told |= {"confidence": {"type": "number", "minimum": 0, "maximum": 1}, "scores": {}, "spans": {"type": "array"}}
    return object_of(told, needed=["prediction"])


def object_of(properties: Mapping[str, Any], needed: Sequence[str] | None = None) -> dict[str, Any]:
    """An object with these properties and no others; all are needed if nothing else is said."""
    required = list(properties) if needed is None else list(needed)
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


def _posted(asked: str, told: str, error: str) -> dict[str, Any]:
    return {
        "summary": f"{asked} to {told}",
        "requestBody": {"required": True, "content": _content(asked)},
        "responses": {"200": {"description": "Answered", "content": _content(told)}} | _errors(READING + ASKING, error),
    }


def _got(summary: str, told: str, *, kind: str = JSON) -> dict[str, Any]:
    found = {"200": {"description": summary, "content": _content(told, kind)}}
    return {"summary": summary, "responses": found | _errors((*READING, "not_found", "not_ready"), "Error")}


def _public(summary: str, name: str) -> dict[str, Any]:
    told = {JSON: {"schema": object_of({name: {"type": "boolean"}})}}
    found = {"200": {"description": "Yes", "content": told}, "503": {"description": "No", "content": told}}
    return {"summary": summary, "security": [], "responses": found}


def _errors(codes: Sequence[str], schema: str) -> dict[str, Any]:
    """By status: the codes that it may mean."""
    found: dict[str, list[str]] = {}
    for code in codes:
        found.setdefault(str(ANSWERS[code][0]), []).append(code)
    return {
        status: {"description": ", ".join(f"`{code}`" for code in those), "content": _content(schema)}
        for status, those in sorted(found.items())
    }


def _content(schema: str, kind: str = JSON) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
