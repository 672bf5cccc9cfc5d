"""Answers over HTTP are those of the bundle, for every modality and by both ways of asking."""

import base64
import json
import struct
import subprocess
import sys

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.architecture.test_torch_absent import BLOCK
from tests.compress import bundles
from tests.modalities.examples import EXAMPLES
from tests.serve.conftest import serving

from underlay.bundle import open_bundle
from underlay.serve.refusals import ANSWERS

COLOURS = ("red", "green", "blue")
TEXTS = ["a quiet film", "it was loud, and it was long", "good", "一部安静的电影", "the end of a film nobody saw " * 20]


@pytest.fixture(scope="module")
def bundle(text_bundle):
    return open_bundle(text_bundle)


def rows(texts: list[str]) -> dict[str, object]:
    return {"rows": [{"text": text} for text in texts]}


@pytest.mark.row("X11")
def test_an_answer_is_the_bundles_with_the_id_that_was_sent(server, bundle):
    found = server.post("/predict", {**rows(TEXTS), "scores": True, "id": 2**53 + 1})
    assert found.status_code == 200, found.text
    told = found.json()
    assert (told["model"], told["version"], told["id"]) == ("reviews", bundle.manifest.seal[:12], 2**53 + 1)
    expected = bundle.answer({"text": TEXTS})
    for place, said in enumerate(told["predictions"]):
        assert list(said) == ["label", "moods", "price"]
        assert said["label"]["prediction"] == expected.predictions["label"][place]
        assert said["label"]["confidence"] == pytest.approx(expected.confidence["label"][place], abs=1e-5)
        assert list(said["label"]["scores"]) == ["red", "green", "blue"]
        np.testing.assert_allclose(
            list(said["label"]["scores"].values()), expected.probabilities["label"][place], atol=1e-5
        )
        assert said["moods"]["prediction"] == list(expected.predictions["moods"][place])
        assert said["price"] == {"prediction": pytest.approx(expected.predictions["price"][place], abs=1e-4)}


def test_one_row_is_asked_as_row_and_scores_only_come_if_asked(server):
    told = server.post("/predict", {"row": {"text": "good"}}).json()
    assert len(told["predictions"]) == 1
    assert set(told["predictions"][0]["label"]) == {"prediction", "confidence"}
    assert "id" not in told


@pytest.mark.row("J11", "X01")
@pytest.mark.parametrize("bad", ["", "   ", "\u200b\u200d"])
def test_one_bad_row_of_32_is_named_and_none_is_answered(server, bad):
    texts = ["good"] * 32
    texts[17] = bad
    found = server.post("/predict", rows(texts))
    assert found.status_code == 422
    error = found.json()["error"]
    assert (error["code"], error["field"]) == ("empty_text", "/rows/17/text")
    assert "predictions" not in found.json()
    assert server.post("/predict", {"row": {"text": bad}}).json()["error"]["field"] == "/row/text"


@pytest.mark.row("X01", "J07", "J08")
@pytest.mark.parametrize("value", [None, 3, True, [], {}, {"text": "a"}])
def test_a_value_that_is_no_text_is_refused(server, value):
    found = server.post("/predict", {"row": {"text": value}})
    assert found.status_code == 422
    assert found.json()["error"]["field"] == "/row/text"


@pytest.mark.row("X03", "X05", "X09", "X10")
@pytest.mark.parametrize(
    ("odd", "plain"), [("a qu\u200biet fi\u00adlm", "a quiet film"), ("a \u202equiet film", "a quiet film")]
)
def test_invisible_characters_change_no_answer(server, odd, plain):
    first, second = (server.post("/predict", {"row": {"text": text}, "scores": True}).json() for text in (odd, plain))
    assert first["predictions"] == second["predictions"]


@pytest.mark.row("X08", "X12")
@pytest.mark.parametrize("text", ["a" * 20_000, "@" * 20_000, "[" * 20_000, "1" * 20_000, "a" * 19_999 + "!"])
def test_long_texts_of_one_kind_are_answered(server, text):
    assert server.post("/predict", {"row": {"text": text}}).status_code == 200


@pytest.mark.row("J13")
@pytest.mark.parametrize("identity", ["", "a", 0, -1, 2**63])
def test_an_id_comes_back_exactly(server, identity):
    assert server.post("/predict", {"row": {"text": "a film"}, "id": identity}).json()["id"] == identity


def test_a_message_belongs_to_its_code_and_repeats_nothing(server):
    sent = b'{"row": {"text": "a film", "secret": "4012888888881881"}}'
    found = server.post("/predict", sent)
    assert found.status_code == 422
    assert found.json()["error"]["message"] == ANSWERS["unknown_field"][1]
    assert found.json()["error"]["request_id"] == found.headers["x-request-id"]
    assert "secret" not in found.text
    assert "4012888888881881" not in found.text + server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("asked", ["0", "-1", "1.5", "soon", "1" * 20])
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(server, asked):
    found = server.post("/predict", rows(["a film"]), **{"x-deadline-ms": asked})
    assert (found.status_code, found.json()["error"]["code"]) == (422, "deadline_header")


def infer(server, *texts: str, **more: object) -> httpx.Response:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": list(texts)}
    return server.post(f"/v2/models/{server.name}/infer", {"inputs": [tensor], **more})


def test_the_open_inference_protocol_gives_the_same_answers(server, bundle):
    wanted = [{"name": name} for name in ("label", "label.probabilities", "moods", "price")]
    found = infer(server, *TEXTS, id="seven", outputs=wanted)
    assert found.status_code == 200, found.text
    told = found.json()
    assert (told["model_name"], told["id"]) == ("reviews", "seven")
    tensors = {tensor["name"]: tensor for tensor in told["outputs"]}
    assert list(tensors) == [output["name"] for output in wanted]
    expected = bundle.answer({"text": TEXTS})
    assert tensors["label"]["data"] == expected.predictions["label"]
    assert (tensors["label"]["datatype"], tensors["label"]["shape"]) == ("BYTES", [5])
    assert tensors["label.probabilities"]["shape"] == [5, 3]
    np.testing.assert_allclose(
        np.reshape(tensors["label.probabilities"]["data"], [5, 3]), expected.probabilities["label"], atol=1e-5
    )
    assert [tuple(json.loads(item)) for item in tensors["moods"]["data"]] == expected.predictions["moods"]
    np.testing.assert_allclose(tensors["price"]["data"], expected.predictions["price"], atol=1e-4)
    assert [tensor["name"] for tensor in infer(server, "good").json()["outputs"]] == [
        "label", "label.confidence", "moods", "moods.confidence", "price",
    ]  # fmt: skip


def test_the_open_inference_protocol_says_what_it_serves(server):
    assert httpx.get(f"{server.url}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{server.url}/v2/health/ready").json() == {"ready": True}
    assert server.get("/v2").json()["name"] == "underlay"
    told = server.get(f"/v2/models/{server.name}").json()
    assert told["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    names = [tensor["name"] for tensor in told["outputs"]]
    assert [
        tensor["name"] for tensor in infer(server, "good", outputs=[{"name": n} for n in names]).json()["outputs"]
    ] == names
    assert server.get(f"/v2/models/{server.name}/ready").json() == {"name": server.name, "ready": True}


@pytest.mark.row("B15")
@pytest.mark.parametrize("name", ["other", "..", "%2e%2e", "..%5c", "A", "a%2Fb", "reviews.", "con"])
def test_another_name_of_a_model_is_not_found(server, name):
    for path in (f"/v2/models/{name}", f"/v2/models/{name}/ready"):
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {server.key}\r\n\r\n"
        found = server.raw(head.encode())
        assert found.startswith(b"HTTP/1.1 404"), path
    assert server.post(f"/v2/models/{name}/infer", {"inputs": []}).status_code == 404


@pytest.mark.row("J03", "J07", "J08", "J10", "J11")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "missing_field"),
        ({"inputs": {}}, 422, "wrong_type"),
        ({"inputs": []}, 422, "missing_field"),
        ({"inputs": [{"name": "text"}]}, 422, "missing_field"),
        ({"inputs": [{"name": "other", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}, 422, "unknown_field"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a"]}]}, 422, "shape"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [0], "data": []}]}, 422, "no_rows"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [65], "data": ["a"] * 65}]}, 413, "too_many_items"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [10**12, 0], "data": []}]}, 413, "too_many_items"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [True], "data": ["a"]}]}, 422, "shape"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [1]}]}, 422, "datatype"),
        ({"inputs": [{"name": "text", "datatype": "INT64", "shape": [1], "data": ["1"]}]}, 422, "datatype"),
        ({"inputs": [{"name": "text", "datatype": "INT64", "shape": [1], "data": [1.0]}]}, 422, "datatype"),
        ({"inputs": [{"name": "text", "datatype": "UINT8", "shape": [1], "data": [256]}]}, 422, "datatype"),
        ({"inputs": [{"name": "text", "datatype": "STRING", "shape": [1], "data": ["a"]}]}, 422, "datatype"),
        ({"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", ""]}]}, 422, "empty_text"),
        (b'{"inputs": [{"name": "text", "datatype": "FP32", "shape": [1], "data": [NaN]}]}', 422, "non_finite"),
        (b"{", 400, "json_syntax"),
    ],
)
def test_the_open_inference_protocol_has_its_own_form_of_errors(server, body, status, code):
    found = server.post(f"/v2/models/{server.name}/infer", body)
    assert found.status_code == status
    assert list(found.json()) == ["error"]
    assert found.json()["error"].startswith(f"{code}: ")


def test_binary_tensors_are_refused_not_misread(server):
    headers = {"inference-header-content-length": "10"}
    assert server.post(f"/v2/models/{server.name}/infer", b"{}", **headers).status_code == 415


KEYS = ["text.v1", "words.v1", "table.v1 numbers", "image.v1", "audio.v1", "series.v1", "events.v1"]


ENORMOUS = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 14_000, 14_000, 8, 2, 0, 0, 0) + b"\0" * 1_000
"""A picture whose header says 196 megapixels."""


@pytest.mark.row("I03")
def test_every_modality_is_asked_in_plain_json_and_in_tensors(tmp_path):
    columns = {key.partition(".")[0]: bundles.fitted(key) for key in KEYS}
    folder = bundles.sealed(tmp_path / "served", columns)
    rows = []
    for key, (name, modality) in zip(KEYS, columns.items(), strict=True):
        kinds = (bytes, str) if modality.files else object
        values = [as_sent(value) for value in EXAMPLES[key]().values if isinstance(value, kinds)]
        rows.append([{name: value} for value in values[:2]])
    rows = [{name: value for part in parts for name, value in part.items()} for parts in zip(*rows, strict=True)]
    read = {
        name: [
            base64.b64decode(row[name].partition(",")[2] or row[name]) if modality.files else row[name] for row in rows
        ]
        for name, modality in columns.items()
    }
    expected = open_bundle(folder).answer(read)
    assert not expected.problems
    with serving(folder, tmp_path) as server:
        told = server.post("/predict", {"rows": rows, "scores": True})
        assert told.status_code == 200, told.text
        scores = [list(said["label"]["scores"].values()) for said in told.json()["predictions"]]
        np.testing.assert_allclose(scores, expected.probabilities["label"], atol=1e-5)
        assert np.ptp(scores, axis=0).max() > 1e-4, "both rows have one answer, so that a mix-up would not be seen"
        inputs = server.get("/v2/models/served").json()["inputs"]
        assert [tensor["name"] for tensor in inputs] == list(columns)
        for place, row in enumerate(rows):
            tensors = [as_tensor(row[described["name"]], described) for described in inputs]
            asked = {"inputs": tensors, "outputs": [{"name": "label.probabilities"}]}
            found = server.post("/v2/models/served/infer", asked)
            assert found.status_code == 200, found.text
            np.testing.assert_allclose(
                found.json()["outputs"][0]["data"], expected.probabilities["label"][place], atol=1e-5
            )
        for content, status in ((b"<html>", 422), (ENORMOUS, 413)):
            bad = rows[1] | {"image": base64.b64encode(content).decode()}
            lost = server.post("/predict", {"rows": [rows[0], bad]})
            assert (lost.status_code, lost.json()["error"]["field"]) == (status, "/rows/1/image"), lost.text


def as_sent(value):
    """An example's value as JSON can say it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else json.loads(json.dumps(value, default=lambda array: array.tolist()))


def as_tensor(value, described):
    """One row as the model's metadata asks for it."""
    if described.get("parameters") == {"content_type": "json"}:
        return {"name": described["name"], "datatype": "BYTES", "shape": [1], "data": [json.dumps(value)]}
    if described["datatype"] == "BYTES" or isinstance(value, str):  # a cell may always be written out
        return {"name": described["name"], "datatype": "BYTES", "shape": [1], "data": [value]}
    array = np.asarray(value, dtype=float)[None]
    return {"name": described["name"], "datatype": "FP64", "shape": list(array.shape), "data": array.tolist()}


def test_the_document_names_every_route_status_and_code(server, text_bundle):
    document = server.get("/openapi.json").json()
    paths = {path: set(operations) for path, operations in document["paths"].items()}
    assert paths["/predict"] == {"post"}
    said = json.dumps(document)
    assert {code for code in ANSWERS if f"`{code}`" not in said} == set()
    assert document["components"]["schemas"]["Row"]["properties"] == {"text": {"type": "string"}}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            address = server.url + path.replace("{name}", server.name).replace("{version}", server.version)
            found = httpx.request(method, address, headers=server.headers())
            assert str(found.status_code) in operation["responses"], (path, found.status_code)


def test_the_page_loads_nothing_and_its_example_is_answered(server):
    found = server.get("/docs")
    assert found.status_code == 200
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "src=" not in found.text
    assert "href=" not in found.text
    assert "/predict" in found.text


def test_figures_count_what_happened(server):
    before = server.figures()
    server.post("/predict", rows(["good", "a quiet film"]))
    server.post("/predict", rows([""]))
    server.post("/predict", b"{")
    after = server.figures()

    def grew(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grew('underlay_requests_total{route="predict",status="200"}') == 1
    assert grew('underlay_errors_total{reason="empty_text"}') == 1
    assert grew('underlay_errors_total{reason="json_syntax"}') == 1
    assert grew('underlay_request_seconds_count{route="predict"}') == 3
    assert grew("underlay_batch_rows_sum") == 2
    assert (
        sum(grew(f'underlay_predictions_total{{label="{name}",model="reviews",target="label"}}') for name in COLOURS)
        == 2
    )
    assert grew('underlay_confidence_count{model="reviews",target="label"}') == 2
    assert grew('underlay_confidence_count{model="reviews",target="price"}') == 0
    assert after["underlay_ready"] == 1
    assert after["underlay_queue_rows"] == 0


def test_an_exported_bundle_is_served_without_torch(text_bundle, tmp_path):
    code = """
import os, signal, threading, urllib.request, json
from pathlib import Path
from underlay.serve.keys import create
from underlay.serve.named import read_all
from underlay.serve.running import Settings, run
keys = Path(sys.argv[2])
key, _ = create(keys, name="test")

def ask(told):
    def work():
        asked = urllib.request.Request(told.url + "/predict", b'{"row": {"text": "good"}}',
                                       {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        print(urllib.request.urlopen(asked, timeout=30).read().decode(), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=work).start()

run(Settings(read_all([sys.argv[1]]), port=0, admin_port=0, keys=keys), started=ask)
assert not [name for name in sys.modules if name.partition(".")[0] in ("torch", "transformers", "accelerate")]
"""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + code, str(text_bundle), str(tmp_path / "keys.json")],
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"][0]["label"]["prediction"] in ("red", "green", "blue")


NAMES = st.text(max_size=6) | st.sampled_from(["rows", "row", "text", "inputs", "name", "__proto__"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ROW = st.fixed_dictionaries({"text": st.text(max_size=40) | ANY}, optional={"other": ANY})
QUESTION = st.fixed_dictionaries(
    {}, optional={"rows": st.lists(ROW, max_size=3) | ANY, "row": ROW | ANY, "scores": st.booleans() | ANY, "id": ANY}
)
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["text", "other"]) | ANY,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | ANY,
        "datatype": st.sampled_from(["BYTES", "FP32", "INT8", "BOOL", "JSON"]) | ANY,
        "data": st.lists(st.text(max_size=9), max_size=3) | ANY,
    }
)
INFERENCE = st.fixed_dictionaries({"inputs": st.lists(TENSOR, max_size=2) | ANY}, optional={"id": ANY, "outputs": ANY})


@pytest.mark.row("J14")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(st.just("/predict"), QUESTION | ANY) | st.tuples(st.just("/v2/models/reviews/infer"), INFERENCE | ANY))
def test_no_document_whatever_breaks_the_server_or_gets_a_status_that_is_not_documented(server, client, asked):
    path, body = asked
    found = client.post(path, content=json.dumps(body).encode())  # NaN and half characters among them
    route = path.replace("reviews", "{name}")
    assert str(found.status_code) in client.documented[route]["post"]["responses"]
    assert found.status_code in (200, 400, 413, 422)


@pytest.fixture(scope="module")
def client(server):
    headers = server.headers(**{"content-type": "application/json"})
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as found:
        found.documented = server.get("/openapi.json").json()["paths"]
        yield found
