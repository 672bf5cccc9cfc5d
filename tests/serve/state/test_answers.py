"""A server keeps every answer before it gives it: what is kept, under which id, once, and what is not."""

import base64
import json
import time

import httpx
import pytest
from tests.serve.conftest import Server, serving
from tests.serve.state.conftest import State

from underlay.serve.access import RELOAD
from underlay.serve.keys import create
from underlay.serve.state import verify_state

PERSONAL = ("13800138000", "ann@example.com", "11010519491231002X")
TEXTS = [f"a quiet film, call {PERSONAL[0]} or {PERSONAL[1]}", f"my number is {PERSONAL[2]}"]


def question(*texts: str, **more: object) -> dict[str, object]:
    return {"rows": [{"text": text} for text in texts], **more}


def label(server: Server, body: object, *, key: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/feedback", json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=60
    )


@pytest.fixture(scope="module")
def kept(text_bundle, tmp_path_factory):
    """A server with a state in SQLite, shared by the tests that leave it as it is; and a key for labels."""
    folder = tmp_path_factory.mktemp("kept")
    with serving(text_bundle, folder, "--state", str(folder / "state")) as server:
        key, _ = create(server.keys, name="people", scopes=["feedback"])
        yield server, key, State(str(folder / "state"), place(folder / "state"), ())


def place(folder):
    from underlay.serve.state import place_of

    return place_of(str(folder))


def test_each_row_is_kept_redacted_with_what_it_was_told(state, text_bundle, tmp_path):
    with serving(text_bundle, tmp_path, "--state", state.given, *state.options) as server:
        told = server.post("/predict", question(*TEXTS)).json()
        rows = state.rows("SELECT id, input, output, confidence, key, bundle, rules FROM predictions ORDER BY place")
        assert [row.id for row in rows] == told["prediction_ids"]
        assert json.loads(rows[0].input) == {"text": "a quiet film, call [PHONE_1] or [EMAIL_1]"}
        assert json.loads(rows[1].input) == {"text": "my number is [ID_CARD_1]"}
        assert [json.loads(row.output) for row in rows] == told["predictions"]
        assert rows[0].confidence <= told["predictions"][0]["label"]["confidence"] + 1e-6
        assert server.key.split("_")[1] == rows[0].key
        assert rows[0].bundle.startswith(told["version"]) and len(rows[0].bundle) == 64
        assert rows[0].rules.startswith("redaction.v1+")
        assert server.stop() == 0
    found = verify_state(state.place)
    assert (found.entries, found.rows, found.covered) == (3, 2, 3)


@pytest.mark.row("R14")
def test_nothing_personal_is_in_the_state_the_log_or_the_figures(kept):
    server, key, state = kept
    sent = server.post("/predict", question(*TEXTS, id=PERSONAL[1]), **{"idempotency-key": PERSONAL[0]})
    assert sent.json()["id"] == PERSONAL[1]
    identity = sent.json()["prediction_ids"][0]
    server.post("/predict", question(*TEXTS), **{"x-request-id": PERSONAL[0]})
    infer = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": TEXTS}], "id": PERSONAL[0]}
    assert server.post(f"/v2/models/{server.name}/infer", infer).status_code == 200
    assert (
        label(server, {"prediction_id": identity, "target": "label", "label": PERSONAL[1]}, key=key).status_code == 422
    )
    assert label(server, {"prediction_id": PERSONAL[0], "label": "x"}, key=key).status_code == 404
    kept_bytes = b"".join(path.read_bytes() for path in state.place.folder.iterdir() if path.name != "ballast")
    figures = json.dumps(list(server.figures()))
    for secret in PERSONAL:
        assert secret.encode() not in kept_bytes
        assert secret not in server.log.read_text(encoding="utf-8") + figures


def test_without_inputs_their_digests_alone_are_kept(text_bundle, tmp_path):
    with serving(text_bundle, tmp_path, "--state", str(tmp_path / "state"), "--no-keep-inputs") as server:
        server.post("/predict", question("a quiet film"))
        state = State("", place(tmp_path / "state"), ())
        (row,) = state.rows("SELECT input, input_hmac, rules FROM predictions")
        assert (row.input, row.rules, len(row.input_hmac)) == (None, "", 64)


@pytest.mark.row("A14", "F12")
def test_a_request_that_is_sent_again_is_answered_as_before_and_kept_once(kept):
    server, _, state = kept
    name = {"idempotency-key": "order-17"}
    before = len(state.rows("SELECT id FROM predictions"))
    first, second = (server.post("/predict", question("a film", id="x", scores=True), **name) for _ in range(2))
    assert (first.status_code, first.content) == (200, second.content)
    assert len(state.rows("SELECT id FROM predictions")) == before + 1
    other = server.post("/predict", question("another film"), **name)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_reused")
    infer = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a film"]}], "id": "i"}
    one, two = (server.post(f"/v2/models/{server.name}/infer", infer, **name) for _ in range(2))
    assert one.json()["parameters"]["prediction_ids"]
    assert one.content == two.content
    other_key, _ = create(server.keys, name="another")
    time.sleep(RELOAD)
    theirs = server.post("/predict", question("a film"), **name, authorization=f"Bearer {other_key}")
    assert theirs.json()["prediction_ids"] != first.json()["prediction_ids"]


@pytest.mark.row("A14")
def test_many_at_once_under_one_name_are_one(kept):
    from concurrent.futures import ThreadPoolExecutor

    server, _, _ = kept
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: server.post("/predict", question("at once"), **{"idempotency-key": "all"}), range(16))
        )
    assert {one.status_code for one in found} == {200}
    assert len({one.json()["prediction_ids"][0] for one in found}) == 1


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129])
def test_a_name_that_is_none_is_refused(kept, name):
    server, _, _ = kept
    found = server.post("/predict", question("a film"), **{"idempotency-key": name.encode()})
    assert (found.status_code, found.json()["error"]["code"]) == (422, "idempotency_header")


def test_labels_are_kept_for_the_answer_that_they_are_about(kept):
    server, key, state = kept
    ids = server.post("/predict", question("one", "two")).json()["prediction_ids"]
    told = label(server, {"prediction_id": ids[1], "target": "label", "label": "blue"}, key=key)
    assert told.status_code == 200, told.text
    assert told.json() == {"feedback_id": told.json()["feedback_id"], "prediction_id": ids[1], "target": "label"}
    for target, value in (("moods", []), ("moods", ["loud", "calm"]), ("price", 3)):
        assert label(server, {"prediction_id": ids[0], "target": target, "label": value}, key=key).status_code == 200
    rows = state.rows(f"SELECT target, label FROM feedback WHERE prediction = '{ids[0]}' ORDER BY seq")
    assert [tuple(row) for row in rows] == [("moods", "[]"), ("moods", '["calm","loud"]'), ("price", "3")]
    once = {"idempotency-key": "label-1"}
    body = {"prediction_id": ids[1], "target": "label", "label": "red"}
    first, second = (label(server, body, key=key, **once) for _ in range(2))
    assert first.content == second.content
    assert label(server, {**body, "label": "green"}, key=key, **once).json()["error"]["code"] == "idempotency_reused"
    assert len(state.rows(f"SELECT id FROM feedback WHERE prediction = '{ids[1]}'")) == 2
    assert verify_state(state.place).rows > 4


@pytest.mark.row("R04")
@pytest.mark.parametrize(
    ("more", "status", "code", "field"),
    [
        ({"target": "label", "label": "purple"}, 422, "wrong_label", "/label"),
        ({"target": "label", "label": None}, 422, "wrong_label", "/label"),
        ({"target": "label", "label": ["red"]}, 422, "wrong_label", "/label"),
        ({"target": "label", "label": 0}, 422, "wrong_label", "/label"),
        ({"target": "moods", "label": "calm"}, 422, "wrong_label", "/label"),
        ({"target": "moods", "label": ["calm", "calm"]}, 422, "wrong_label", "/label"),
        ({"target": "moods", "label": ["calm", "sad"]}, 422, "wrong_label", "/label"),
        ({"target": "price", "label": "3"}, 422, "wrong_label", "/label"),
        ({"target": "price", "label": True}, 422, "wrong_label", "/label"),
        ({"label": "red"}, 422, "missing_field", "/target"),
        ({"target": "other", "label": "red"}, 422, "unknown_field", "/target"),
        ({"target": 3, "label": "red"}, 422, "wrong_type", "/target"),
        ({"target": "label"}, 422, "missing_field", "/label"),
        ({"target": "label", "label": "red", "why": "so"}, 422, "unknown_field", ""),
        ({"prediction_id": "0" * 32 + "-0", "label": "red"}, 404, "unknown_prediction", "/prediction_id"),
        ({"prediction_id": "' OR 1=1 --", "label": "red"}, 404, "unknown_prediction", "/prediction_id"),
        ({"prediction_id": 7, "label": "red"}, 422, "wrong_type", "/prediction_id"),
    ],
)  # fmt: skip
def test_a_label_that_cannot_be_is_refused_by_its_field(kept, more, status, code, field):
    server, key, state = kept
    (identity,) = server.post("/predict", question("one")).json()["prediction_ids"]
    found = label(server, {"prediction_id": identity, **more}, key=key)
    assert found.status_code == status, found.text
    assert (found.json()["error"]["code"], found.json()["error"]["field"]) == (code, field)
    assert state.rows(f"SELECT id FROM feedback WHERE prediction = '{identity}'") == []


def test_labels_need_their_own_scope_and_answers_need_theirs(kept):
    server, key, _ = kept
    (identity,) = server.post("/predict", question("one")).json()["prediction_ids"]
    body = {"prediction_id": identity, "target": "label", "label": "red"}
    assert label(server, body, key=server.key).status_code == 403
    assert label(server, body, key=server.admin_key).status_code == 403
    asked = httpx.post(f"{server.url}/predict", json=question("a"), headers={"authorization": f"Bearer {key}"})
    assert asked.status_code == 403


def test_the_routes_of_a_state_are_described_and_closed_without_a_key(kept):
    server, _, _ = kept
    paths = server.get("/openapi.json").json()["paths"]
    for path in ("/feedback",):
        assert "post" in paths[path]
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert httpx.request(method, server.url + path).status_code == 401


def test_a_server_without_a_state_has_no_place_for_labels(server):
    key, _ = create(server.keys, name="people", scopes=["predict", "feedback"])
    assert label(server, {"prediction_id": "x", "label": "red"}, key=key).status_code == 404
    assert "/feedback" not in server.get("/openapi.json").json()["paths"]
    assert "prediction_ids" not in server.post("/predict", question("a"), **{"idempotency-key": "x"}).json()


def test_files_are_kept_as_digests_and_signals_as_they_are():
    from hashlib import sha256

    from underlay.serve.state.kept_input import keep_input

    row = {
        "picture": b"\x89PNG",
        "curve": [[1.5, 2], [13800138000, 4]],
        "phone": 13800138000,
        "words": ["call", PERSONAL[0]],
    }
    found = json.loads(keep_input(row, inputs=True).text or "")
    assert found["picture"] == "sha256:" + sha256(b"\x89PNG").hexdigest()
    assert found["curve"] == row["curve"]  # measured, whatever it looks like
    assert found["phone"] == "[PHONE_1]"
    assert found["words"] == ["call", "[PHONE_1]"]
    assert base64.b64encode(row["picture"]).decode() not in json.dumps(found)


@pytest.mark.parametrize(
    ("failure", "code"), [("redaction_timeout", "redaction_timeout"), ("anything", "redaction_failed")]
)
def test_what_cannot_be_redacted_is_refused_and_not_kept(monkeypatch, failure, code):
    from underlay.serve.redaction import Redaction
    from underlay.serve.refusals import Refusal
    from underlay.serve.state import kept_input

    monkeypatch.setattr(kept_input, "redact_json", lambda *_: Redaction('"[REDACTION_FAILED]"', (), {}, failure))
    with pytest.raises(Refusal) as found:
        kept_input.keep_input({"text": "secret"}, inputs=True)
    assert (found.value.status, found.value.code) == (503, code)
    assert kept_input.keep_input({"text": "secret"}, inputs=False).text is None


def test_a_text_that_takes_too_long_is_refused_by_the_server_and_nothing_of_it_is_kept(text_bundle, tmp_path):
    """The rules' own time limit, made shorter than any text's."""
    import os
    import sys

    patched = tmp_path / "sitecustomize.py"
    patched.write_text(
        "import underlay.serve.redaction.policy as policy\n"
        "policy.Policy.seconds_for = lambda self, length: 1e-9\n"
        "import underlay.serve.redaction.redaction as redaction\n"
        "redaction.ready()\n",
        encoding="utf-8",
    )
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with serving(text_bundle, tmp_path, "--state", str(tmp_path / "state"), environment=environment) as server:
        found = server.post("/predict", question("a quiet film"))
        assert (found.status_code, found.json()["error"]["code"]) == (503, "redaction_timeout")
        assert int(found.headers["retry-after"]) >= 1
        assert State("", place(tmp_path / "state"), ()).rows("SELECT id FROM predictions") == []
