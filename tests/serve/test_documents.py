"""Ten thousand documents that `/openapi.json` allows, and as many that it nearly allows: always a documented status."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=30),
    "integer": st.integers(-(2**60), 2**60),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1_000, 1_000),
    "boolean": st.booleans(),
    "null": st.none(),
}


def allowed(schema: Any, schemas: Any) -> st.SearchStrategy[Any]:
    """Values of a schema of the document."""
    if "$ref" in schema:
        return allowed(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if kinds is None:
        return ANY
    return st.one_of([of_kind(kind, schema, schemas) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def of_kind(kind: str, schema: Any, schemas: Any) -> st.SearchStrategy[Any]:
    if kind == "array":
        inner = allowed(schema.get("items", {}), schemas)
        return st.lists(inner, min_size=schema.get("minItems", 0), max_size=min(schema.get("maxItems", 3), 3))
    if kind == "object":
        parts = {name: allowed(part, schemas) for name, part in schema.get("properties", {}).items()}
        needed = set(schema.get("required", ()))
        ways = [needed | set(way["required"]) for way in schema.get("oneOf", [{"required": []}])]
        barred = set().union(*ways) - needed if len(ways) > 1 else set()
        return st.one_of(
            [
                st.fixed_dictionaries(
                    {name: parts[name] for name in parts if name in way},
                    optional={name: part for name, part in parts.items() if name not in way | barred},
                )
                for way in ways
            ]
        )
    return SCALARS[kind]


@st.composite
def nearly(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """A document with one place replaced, left out or added."""
    document = json.loads(json.dumps(draw(documents)))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((value, step))
            if isinstance(inner, dict | list):
                walk(inner)

    walk(document)
    value, step = draw(st.sampled_from(places)) if places else (document, "rows")
    how = draw(st.sampled_from(["replace", "drop", "add"]))
    if how == "replace" or not places:
        value[step] = draw(ANY)
    elif how == "drop":
        del value[step]
    elif isinstance(value, dict):
        value[draw(st.text(max_size=6))] = draw(ANY)
    else:
        value.append(draw(ANY))
    return document


@pytest.mark.slow
@pytest.mark.timeout(1_200)
@pytest.mark.row("J14")
def test_ten_thousand_documents_never_break_the_server_or_get_an_undocumented_status(server):
    headers = server.headers(**{"content-type": "application/json"})
    document = server.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    asked = []
    for path, operations in document["paths"].items():
        if "post" in operations and "feedback" not in path and "review" not in path:
            body = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
            if "{version}" not in path:
                asked.append((path, allowed(body, schemas)))
    assert len(asked) >= 2
    statuses: dict[int, int] = {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:

        @settings(
            max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            print_blob=False,
        )  # fmt: skip
        @given(st.one_of([st.tuples(st.just(path), good | nearly(good)) for path, good in asked]))
        def holds(sent: tuple[str, Any]) -> None:
            path, body = sent
            data = json.dumps(body).encode()  # NaN and half characters among them
            found = client.post(path.replace("{name}", server.name), content=data)
            statuses[found.status_code] = statuses.get(found.status_code, 0) + 1
            assert str(found.status_code) in document["paths"][path]["post"]["responses"]
            assert found.status_code in (200, 400, 413, 422), found.text

        holds()
    assert min(statuses[200], statuses[422]) > 500, "the documents are too much alike to say anything"
    assert not [line for line in server.logged() if line["level"] == "error"]
