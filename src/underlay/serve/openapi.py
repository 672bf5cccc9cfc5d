"""What can be asked, as OpenAPI 3.1, and as a page that needs nothing from elsewhere."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from underlay.core import Target
from underlay.serve.inference_protocol import INPUT, inputs_of
from underlay.serve.refusals import ANSWERS, ROW
from underlay.serve.service import Service

JSON = "application/json"
READING = ("bug", "no_key", "several_keys", "too_many_failures", "scope", "method", "bad_request", "headers_too_large",
           "url_too_long", "too_slow", "too_many_connections", "rate_limited", "quota_exceeded", "quota_unknown")  # fmt: skip
"""What any address may say; `ASKING` is what those say besides that take a body."""

ASKING = tuple(code for code in ANSWERS if code not in READING and code not in ("not_found", "not_ready"))


def openapi(service: Service) -> dict[str, Any]:
    """The document of one service.

    Args:
        service: Whose model's columns, targets and labels it names.
    """
    served, name = service.served, service.served.name
    model = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": [name]}}
    infer = {**_posted("InferRequest", "InferResponse", "InferError"), "parameters": [model, *_HEADERS]}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Underlay: {name}", "version": version("underlay"), "description": _DESCRIPTION},
        "security": [{"key": []}],
        "paths": {
            "/predict": {"post": {**_posted("Question", "Answers", "Error"), "parameters": _HEADERS}},
            "/v2/health/live": {"get": _public("Whether the process answers", "live")},
            "/v2/health/ready": {"get": _public("Whether new requests are welcome", "ready")},
            "/v2": {"get": _got("Who answers", "ServerMetadata")},
            "/v2/models/{name}": {"get": {**_got("The model's tensors", "ModelMetadata"), "parameters": [model]}},
            "/v2/models/{name}/ready": {"get": {**_got("Whether the model is ready", "Ready"), "parameters": [model]}},
            "/v2/models/{name}/infer": {"post": infer},
            "/openapi.json": {"get": _got("This document", "Document")},
            "/docs": {"get": _got("This document as a page", "Page", kind="text/html")},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "`underlay keys create`"}},
            "schemas": _schemas(service, inputs_of(served)),
        },
    }


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
]


def _schemas(service: Service, described: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    served = service.served
    row = _object({name: _value(one, name in service.files) for name, one in described.items()})
    answers = _object({target.name: _answer(target) for target in served.targets})
    tensor = {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 3},
        "datatype": {"type": "string"},
        "parameters": {"type": "object"},
        "data": {"type": "array"},
    }
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}, "minItems": 1}
    asked = {
        "row": {"$ref": "#/components/schemas/Row"},
        "rows": rows | {"maxItems": service.limits.items},
        "scores": {"type": "boolean", "default": False, "description": "Add the probability of every label."},
        "id": {"type": ["string", "integer"], "description": "Given back as it came."},
    }
    error = {
        "code": {"type": "string", "examples": list(ANSWERS)},
        "message": {"type": "string"},
        "request_id": {"type": "string"},
        "field": {"type": "string", "description": "JSON pointer to what is wrong."},
        "expected": {"description": "What would be right."},
        "offset": {"type": "integer"},
    }
    posted = {"name": {"type": "string"}, "parameters": {"type": "object"}}
    return {
        "Row": row,
        "Question": {**_object(asked, needed=[]), "oneOf": [{"required": ["row"]}, {"required": ["rows"]}]},
        "Answers": _object(
            {
                "model": {"const": served.name},
                "version": {"type": "string"},
                "predictions": {"type": "array", "items": answers},
                "id": {"type": ["string", "integer"]},
            },
            needed=["model", "version", "predictions"],
        ),
        "Error": _object({"error": _object(error, needed=["code", "message", "request_id"])}),
        "InferRequest": _object(
            {
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "inputs": {
                    "type": "array",
                    "items": _object(tensor, needed=[name for name in INPUT if name != "parameters"]),
                    "description": "One a column: " + json.dumps(list(described.values())),
                },
                "outputs": {"type": "array", "items": _object(posted, needed=["name"])},
            },
            needed=["inputs"],
        ),
        "InferResponse": _object(
            {
                "model_name": {"const": served.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "outputs": {"type": "array", "items": _object(tensor, needed=["name", "shape", "datatype", "data"])},
            },
            needed=["model_name", "outputs"],
        ),
        "InferError": _object({"error": {"type": "string"}}),
        "ServerMetadata": {"type": "object"},
        "ModelMetadata": {"type": "object"},
        "Ready": {"type": "object"},
        "Document": {"type": "object"},
        "Page": {"type": "string"},
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
    return _object(told, needed=["prediction"])


def _object(properties: Mapping[str, Any], needed: Sequence[str] | None = None) -> dict[str, Any]:
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
    told = {JSON: {"schema": _object({name: {"type": "boolean"}})}}
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
