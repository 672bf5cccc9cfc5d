"""What an operator can ask of the second listener, as OpenAPI 3.1."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from underlay.serve.admin_refusals import ADMIN_ANSWERS
from underlay.serve.openapi import object_of
from underlay.serve.refusals import ANSWERS

_TEXT = {"type": "string"}
_LABEL = {**_TEXT, "description": "Of a version: as it was named, or the first twelve characters of the seal."}
_LABEL_OR_NONE = {"type": ["string", "null"]}
_WAS = {**_LABEL_OR_NONE, "description": "Where the alias points now; if it does not, nothing is changed."}
_YES = {"type": "boolean"}

_EVERY = ("bug", "no_key", "several_keys", "too_many_failures", "scope", "method", "bad_request", "headers_too_large",
          "url_too_long", "too_slow", "too_many_connections", "too_many_peer_connections", "not_found")  # fmt: skip
"""What any address may say."""

_BODY = ("json_syntax", "not_utf8", "json_too_deep", "duplicate_key", "body_too_large", "media_type", "encoding",
         "unknown_field", "missing_field", "wrong_type", "non_finite", "number_too_long", "invalid_text")  # fmt: skip
"""What those say besides that take a body."""

_KEEPING = ("aliases_unwritten", "disk_full", "disk_failed", "state_damaged", "database_busy", "database_away",
            "overloaded", "draining")  # fmt: skip
"""What those say besides that change something."""

_ALIAS = ("unknown_model", "unknown_version", "version_in_use", "stale")


def admin_openapi() -> dict[str, Any]:
    """The document of the second listener.

    >>> "/models/{name}/rollback" in admin_openapi()["paths"]
    True
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": "Underlay: for operators", "version": version("underlay"), "description": _DESCRIPTION},
        "security": [{"key": []}],
        "paths": {path: dict(operations) for path, operations in _paths().items()},
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "`underlay keys create --scope admin`"}
            },
            "schemas": _schemas(),
        },
    }


_DESCRIPTION = (
    "Only this machine reaches these addresses. A change is on disk before it is answered, if the server was told of a "
    "file to keep it in. Every refusal has a code, and a code always the same message."
)


def _paths() -> Mapping[str, Mapping[str, Any]]:
    model, alias = "/models/{name}", "/models/{name}/aliases"
    load = _change("Load a bundle as a version", "Loaded", "Load", _LOADING)
    load["responses"] = {"201": {**load["responses"]["200"], "description": "Loaded"}, **load["responses"]}
    away = _change("Take an alias away", "Aliases", None, ("unknown_model",))
    return {
        "/metrics": {"get": _operation("Figures for Prometheus", {"type": "string"}, kind="text/plain")},
        "/openapi.json": {"get": _operation("This document", {"type": "object"})},
        "/models": {"get": _operation("All that is loaded", _ref("Models"))},
        model: {
            "get": _operation("One model", _ref("Model"), codes=("unknown_model",)),
            "delete": _change("Unload a model", "Gone", None, ("unknown_model", "default_model")),
        },
        f"{model}/versions": {"post": load},
        f"{model}/versions/{{version}}": {
            "delete": _change("Unload a version", "Gone", None, ("unknown_model", "unknown_version", "version_in_use"))
        },
        f"{alias}/prod": {"put": _change("Have another version answer", "Aliases", "Prod", _ALIAS)},
        f"{alias}/canary": {
            "put": _change("Have a version answer a share", "Aliases", "Canary", (*_ALIAS, "weight")),
            "delete": away,
        },
        f"{alias}/shadow": {
            "put": _change("Ask a version too, unheard", "Aliases", "Prod", _ALIAS),
            "delete": away,
        },
        f"{model}/rollback": {
            "post": _change("Go back to the version before", "Aliases", "Nothing", ("unknown_model", "no_way_back"))
        },
        f"{model}/stop": {"post": _change("Refuse all that ask a model", "Switched", "Nothing", ("unknown_model",))},
        f"{model}/start": {"post": _change("Answer again", "Switched", "Nothing", ("unknown_model",))},
        "/stop": {"post": _change("Refuse all that ask any model", "Switched", "Nothing", ())},
        "/start": {"post": _change("Answer again", "Switched", "Nothing", ())},
    }


_LOADING = ("bundle_refused", "other_form", "version_exists", "too_many_versions", "model_name", "folder", "no_memory")


def _schemas() -> dict[str, Any]:
    aliases = {
        "prod": _LABEL,
        "previous": _LABEL_OR_NONE,
        "canary": _LABEL_OR_NONE,
        "weight": {"type": "number", "minimum": 0, "maximum": 1},
        "shadow": _LABEL_OR_NONE,
    }
    loaded = {
        "version": _LABEL,
        "seal": _TEXT,
        "bundle": _TEXT,
        "aliases": {"type": "array", "items": _TEXT},
        "ready": _YES,
        "changed_on_disk": _YES,
        "waiting": {"type": "integer"},
    }
    model = {
        "name": _TEXT,
        "ready": _YES,
        "stopped": _YES,
        **aliases,
        "versions": {"type": "array", "items": object_of(loaded)},
    }
    error = {"code": _TEXT, "message": _TEXT, "request_id": _TEXT, "field": _TEXT, "expected": {}, "reason": _TEXT}
    weight = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    return {
        "Models": object_of(
            {"default": _TEXT, "stopped": _YES, "models": {"type": "array", "items": _ref("Model")}},
        ),
        "Model": object_of(model),
        "Load": object_of({"bundle": {**_TEXT, "description": "Absolute path."}, "version": _LABEL}, needed=["bundle"]),
        "Loaded": object_of({"model": _TEXT, "version": _LABEL, "seal": _TEXT}),
        "Gone": object_of({"model": _TEXT, "version": _LABEL, "answered_all": _YES}, needed=["model", "answered_all"]),
        "Prod": object_of({"version": _LABEL, "was": _WAS}, needed=["version"]),
        "Canary": object_of({"version": _LABEL, "weight": weight, "was": _WAS}, needed=["version", "weight"]),
        "Aliases": object_of({"model": _TEXT, **aliases}),
        "Nothing": object_of({}),
        "Switched": object_of({"model": _LABEL_OR_NONE, "stopped": _YES}),
        "Error": object_of({"error": object_of(error, needed=["code", "message", "request_id"])}),
    }


def _change(summary: str, told: str, asked: str | None, codes: tuple[str, ...]) -> dict[str, Any]:
    body = () if asked is None else _BODY
    found = _operation(summary, _ref(told), codes=(*codes, *body, *_KEEPING))
    if asked is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(asked)}}}
    return found


def _operation(
    summary: str, told: Mapping[str, Any], *, codes: tuple[str, ...] = (), kind: str = "application/json"
) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    known = {**ANSWERS, **ADMIN_ANSWERS}
    for code in (*_EVERY, *codes):
        if code in known:
            by_status.setdefault(str(known[code][0]), []).append(code)
    refused = {
        status: {
            "description": ", ".join(f"`{code}`" for code in those),
            "content": {"application/json": {"schema": _ref("Error")}},
        }
        for status, those in sorted(by_status.items())
    }
    return {
        "summary": summary,
        "responses": {"200": {"description": "Done", "content": {kind: {"schema": told}}}, **refused},
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
