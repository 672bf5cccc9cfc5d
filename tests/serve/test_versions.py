"""Several models and versions behind one server: who answers, who listens unheard, and what no change ever loses."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import pytest
from tests.serve.conftest import ODD, Server, serving, wait_for
from tests.serve.test_faults import POISON, SLEEP, label

QUIET = {"row": {"text": "quiet 1"}}


@contextmanager
def several(odds, scratch, *options, **environment):
    """A server of two versions of `moods`, which say the opposite, and of `words`, which reads another column."""
    words = [f"moods:1={odds['plain']}", f"moods:2={odds['flip']}", f"words={odds['column']}"]
    with serving(words, scratch, *options, odd=True, environment=environment) as server:
        yield server


@pytest.fixture(scope="module")
def moods(odds, tmp_path_factory):
    with several(odds, tmp_path_factory.mktemp("moods"), ODD_SECONDS="2") as server:
        yield server
        assert server.stop() == 0


def said(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 200, answer.text
    return answer.json()["version"], label(answer)


def load(server: Server, name: str, folder, **more: str) -> httpx.Response:
    return server.admin("POST", f"/models/{name}/versions", {"bundle": str(folder), **more})


def point(server: Server, alias: str, version: str, **more: object) -> httpx.Response:
    found = server.admin("PUT", f"/models/moods/aliases/{alias}", {"version": version, **more})
    assert found.status_code == 200, found.text
    return found


def test_the_first_named_is_the_default_and_every_version_has_an_address(moods):
    assert said(moods.post("/predict", QUIET)) == ("1", "quiet")
    assert said(moods.post("/predict/moods", QUIET)) == ("1", "quiet")
    assert said(moods.post("/predict/moods/versions/2", QUIET)) == ("2", "loud")
    other = moods.post("/predict/words", {"row": {"words": "loud 2"}})
    assert (other.json()["model"], label(other)) == ("words", "loud")
    assert moods.post("/predict/words", QUIET).json()["error"]["code"] == "unknown_field"


def test_the_open_inference_protocol_has_models_and_versions(moods):
    asked = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["quiet 1"]}]}
    for path, version, answer in (("", "1", "quiet"), ("/versions/2", "2", "loud")):
        told = moods.post(f"/v2/models/moods{path}/infer", asked).json()
        assert (told["model_name"], told["model_version"], told["outputs"][0]["data"]) == ("moods", version, [answer])
        assert moods.get(f"/v2/models/moods{path}/ready").json() == {"name": "moods", "ready": True}
    assert moods.get("/v2/models/moods").json()["versions"] == ["1", "2"]
    assert moods.get("/v2/models/moods/versions/2").json()["versions"] == ["2"]
    assert moods.get("/v2/models/words").json()["inputs"][0]["name"] == "words"


@pytest.mark.row("B15")
def test_what_is_not_there_is_said_in_each_protocols_own_words(moods):
    for path in ("/predict/nobody", "/predict/moods/versions/9", "/predict/moods/versions/prod"):
        found = moods.post(path, QUIET)
        assert (found.status_code, found.json()["error"]["code"]) == (404, "not_found"), path
    for path in ("/v2/models/nobody", "/v2/models/moods/versions/9", "/v2/models/moods/versions/9/ready"):
        found = moods.get(path)
        assert (found.status_code, found.json()["error"].partition(":")[0]) == (404, "not_found"), path
    assert moods.post("/v2/models/moods/versions/9/infer", {"inputs": []}).status_code == 404


def test_the_document_has_the_questions_of_every_model(moods):
    document = moods.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert list(schemas["Row"]["properties"]) == ["text"]
    assert list(schemas["Row-words"]["properties"]) == ["words"]
    operation = document["paths"]["/predict/{name}"]["post"]
    assert operation["parameters"][0]["schema"]["enum"] == ["moods", "words"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert asked == [{"$ref": "#/components/schemas/Question"}, {"$ref": "#/components/schemas/Question-words"}]


def test_a_canary_takes_its_share_and_the_same_row_always_goes_the_same_way(moods):
    point(moods, "canary", "2", weight=0.3)
    texts = [f"quiet {number}" for number in range(200)]
    with httpx.Client(base_url=moods.url, headers=moods.headers(), timeout=60) as client:
        first = [said(client.post("/predict", json={"row": {"text": text}})) for text in texts]
        again = [said(client.post("/predict", json={"rows": [{"text": text}], "scores": True})) for text in texts]
        named = [
            said(client.post("/predict", json=QUIET, headers={"idempotency-key": key})) for key in texts for _ in "ab"
        ]
    assert first == again
    assert {answer: version for version, answer in first} == {"quiet": "1", "loud": "2"}
    assert 30 < sum(version == "2" for version, _ in first) < 90
    assert named[::2] == named[1::2]
    assert 30 < sum(version == "2" for version, _ in named[::2]) < 90
    assert said(moods.post("/predict/moods/versions/1", {"row": {"text": texts[0]}})) == ("1", "quiet")
    figures = moods.figures()
    assert figures['underlay_version_weight{model="moods",version="2"}'] == pytest.approx(0.3)
    assert figures['underlay_version_weight{model="moods",version="1"}'] == pytest.approx(0.7)
    assert figures['underlay_version_answers_total{model="moods",version="2"}'] > 60
    assert moods.admin("DELETE", "/models/moods/aliases/canary").status_code == 200
    assert {version for version, _ in (said(moods.post("/predict", QUIET)) for _ in range(3))} == {"1"}


def shadowed(server: Server) -> dict[str, float]:
    found = server.figures()
    name = 'underlay_shadow_rows_total{{model="moods",outcome="{}",version="2"}}'
    return {outcome: found.get(name.format(outcome), 0.0) for outcome in ("agreed", "differed", "failed", "dropped")}


def test_a_shadow_is_compared_and_neither_its_answers_nor_its_faults_nor_its_time_reach_anybody(moods):
    point(moods, "shadow", "2")
    # version 1 answers these rows at once, as the words that make it slow are the shadow's alone to suffer
    before = shadowed(moods)
    for _ in range(3):
        assert said(moods.post("/predict", QUIET)) == ("1", "quiet")
    wait_for(lambda: shadowed(moods)["differed"] == before["differed"] + 3)
    found = moods.post("/predict", {"row": {"text": POISON}})  # both break; the client hears of the first alone
    assert (found.status_code, found.json()["error"]["code"]) == (500, "row_failed")
    assert moods.post("/predict/moods/versions/1", QUIET).status_code == 200
    assert shadowed(moods)["differed"] == before["differed"] + 3, "a request for one version has no shadow"
    assert moods.admin("DELETE", "/models/moods/aliases/shadow").status_code == 200


def test_a_shadow_that_is_slow_or_broken_costs_the_client_nothing(odds, tmp_path):
    words = [f"moods:1={odds['plain']}", f"moods:2={odds['hard']}"]
    with serving(words, tmp_path, odd=True, environment={"ODD_SECONDS": "3"}) as server:
        point(server, "shadow", "2")
        assert said(server.post("/predict", {"row": {"text": "loud " + "poison " * 3}})) == ("1", "loud")
        wait_for(lambda: shadowed(server)["failed"] == 1)
        for number in range(5):
            started = time.monotonic()
            assert said(server.post("/predict", {"row": {"text": f"quiet {number} {'sleep ' * 3}"}})) == ("1", "quiet")
            assert time.monotonic() - started < 2, "an answer waited for the shadow"
        wait_for(lambda: sum(shadowed(server).values()) == 6)
        assert shadowed(server)["agreed"] >= 1
        assert shadowed(server)["failed"] >= 1
        assert [line["event"] for line in server.logged() if line["level"] == "error"] == ["row_failed"]
        assert 'underlay_version_failures_total{model="moods",version="1"}' not in server.figures()


class Clients:
    """Ask without pause until told to stop; keep every answer that is wrong and how long each took."""

    def __init__(self, server: Server, path: str, count: int, expected: dict[str, str]) -> None:
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self.versions: list[str] = []
        self._go = True
        self._expected = expected
        self._threads = [threading.Thread(target=self._ask, args=(server, path, number)) for number in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._go = False
        for thread in self._threads:
            thread.join()

    def _ask(self, server: Server, path: str, number: int) -> None:
        with httpx.Client(base_url=server.url, headers=server.headers(), timeout=30) as client:
            turn = 0
            while self._go:
                turn += 1
                started = time.monotonic()
                try:
                    found = client.post(path, json={"row": {"text": f"quiet {number} {turn % 50}"}})
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                    continue
                self.seconds.append(time.monotonic() - started)
                if found.status_code != 200 or self._expected.get(found.json()["version"]) != label(found):
                    self.wrong.append(found.text)
                else:
                    self.versions.append(found.json()["version"])


@pytest.mark.row("F21", "B20")
def test_loading_switching_going_back_and_unloading_under_load_lose_no_request(odds, tmp_path):
    limits = ["--limit", "queue_seconds=5", "--limit", "request_seconds=20"]
    with serving([f"moods:1={odds['plain']}"], tmp_path, *limits, odd=True) as server:
        truth = {"1": "quiet", "2": "loud", "3": "quiet"}
        with Clients(server, "/predict", 4, truth) as clients:
            for _ in range(5):
                assert load(server, "moods", odds["flip"], version="2").status_code == 201
                point(server, "canary", "2", weight=0.5)
                point(server, "prod", "2")
                assert server.admin("POST", "/models/moods/rollback", {}).json()["prod"] == "1"
                point(server, "prod", "2", was="1")
                point(server, "prod", "1")
                found = server.admin("DELETE", "/models/moods/versions/2")
                assert (found.status_code, found.json()["answered_all"]) == (200, True), found.text
        assert clients.wrong == []
        assert min(clients.versions.count(version) for version in "12") > 20
        told = server.admin("GET", "/models").json()["models"][0]
        assert (told["prod"], told["previous"], len(told["versions"])) == ("1", None, 1)
        assert [line["code"] for line in server.logged() if line["level"] != "info"] == []


def test_a_version_that_is_unloaded_answers_whoever_waits_for_it_and_gives_its_memory_back(odds, tmp_path):
    with serving([f"moods:1={odds['plain']}"], tmp_path, odd=True, environment={"ODD_SECONDS": "2"}) as server:

        def resident() -> float:
            return server.figures()["process_resident_memory_bytes"] / 2**20

        before = resident()
        assert load(server, "moods", odds["large"], version="2").status_code == 201
        assert resident() > before + 50
        with ThreadPoolExecutor(3) as pool:
            path = "/predict/moods/versions/2"
            waiting = [pool.submit(server.post, path, {"row": {"text": text}}) for text in (SLEEP, "loud 1", "quiet 1")]
            wait_for(lambda: server.admin("GET", "/models/moods").json()["versions"][1]["waiting"] >= 1)
            gone = server.admin("DELETE", "/models/moods/versions/2")
            assert (gone.status_code, gone.json()["answered_all"]) == (200, True)
            assert [one.result().status_code for one in waiting] == [200] * 3
        assert server.post("/predict/moods/versions/2", QUIET).status_code == 404
        wait_for(lambda: resident() < before + 30)
        assert 'version="2"' not in "".join(name for name in server.figures() if name.startswith("underlay_version"))


@pytest.mark.row("B17", "F11", "B21")
def test_what_may_not_be_loaded_or_unloaded_changes_nothing(odds, tmp_path):
    from tests.bundle.tiny import reseal

    changed = shutil.copytree(odds["flip"], tmp_path / "changed")
    golden = changed / "golden.jsonl"
    golden.write_text(golden.read_text(encoding="utf-8").replace("0.9", "0.8"), encoding="utf-8")
    reseal(changed)
    bitten = shutil.copytree(odds["flip"], tmp_path / "bitten")
    weights = bytearray((bitten / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (bitten / "model.safetensors").write_bytes(weights)
    with (
        several(odds, tmp_path, "--limit", "loaded_versions=4") as server,
        Clients(server, "/predict", 1, {"1": "quiet"}) as clients,
    ):
        for folder, reason in ((changed, "golden"), (bitten, "digest_mismatch"), (tmp_path / "none", "no_bundle")):
            found = load(server, "moods", folder, version="3")
            assert (found.status_code, found.json()["error"]["code"]) == (422, "bundle_refused"), found.text
            assert found.json()["error"]["reason"] == reason
            assert str(folder) not in found.text
        refused = [
            (load(server, "moods", odds["column"]), 409, "other_form"),
            (load(server, "moods", odds["plain"], version="2"), 409, "version_exists"),
            (load(server, "moods", odds["plain"], version="canary"), 422, "model_name"),
            (load(server, "Moods", odds["plain"]), 422, "model_name"),
            (load(server, "moods", "relative/path"), 422, "folder"),
            (server.admin("DELETE", "/models/moods/versions/1"), 409, "version_in_use"),
            (server.admin("DELETE", "/models/moods/versions/9"), 404, "unknown_version"),
            (server.admin("DELETE", "/models/nobody"), 404, "unknown_model"),
            (server.admin("DELETE", "/models/moods"), 409, "default_model"),
            (server.admin("POST", "/models/moods/rollback", {}), 409, "no_way_back"),
            (server.admin("PUT", "/models/moods/aliases/prod", {"version": "9"}), 404, "unknown_version"),
            (server.admin("PUT", "/models/moods/aliases/prod", {"version": "2", "was": "9"}), 409, "stale"),
            (server.admin("PUT", "/models/moods/aliases/canary", {"version": "2", "weight": 0}), 422, "weight"),
            (server.admin("PUT", "/models/moods/aliases/canary", {"version": "2", "weight": True}), 422, "wrong_type"),
            (server.admin("PUT", "/models/moods/aliases/canary", {"version": "1", "weight": 1}), 409, "version_in_use"),
            (server.admin("PUT", "/models/moods/aliases/prod", b'{"version": "2", "version": "1"}'), 400, "duplicate_key"),  # noqa: E501
            (server.admin("PUT", "/models/moods/aliases/prod", {"version": "2", "force": True}), 422, "unknown_field"),
            (server.admin("POST", "/stop", {"now": True}), 422, "unknown_field"),
        ]  # fmt: skip
        for found, status, code in refused:
            assert (found.status_code, found.json()["error"]["code"]) == (status, code), found.text
        assert load(server, "moods", odds["plain"], version="3").status_code == 201
        assert load(server, "more", odds["plain"]).json()["error"]["code"] == "too_many_versions"
        told = server.admin("GET", "/models").json()
        assert [version["version"] for version in told["models"][0]["versions"]] == ["1", "2", "3"]
        assert told["models"][0]["prod"] == "1"
    assert clients.wrong == []


def test_the_same_version_twice_is_loaded_once_even_at_once(odds, tmp_path):
    with serving([f"moods:1={odds['plain']}"], tmp_path, odd=True) as server:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: load(server, "moods", odds["flip"]), range(4)))
        assert sorted(one.status_code for one in found) == [200, 200, 200, 201]
        assert len({one.text for one in found}) == 1
        assert [line["event"] for line in server.logged()].count("loaded") == 1
        seal = found[0].json()["seal"]
        assert found[0].json()["version"] == seal[:12]
        with ThreadPoolExecutor(2) as pool:  # two operators who both believe that 1 answers: one of them is told
            labels = (seal[:12], seal[:12])
            moves = list(
                pool.map(
                    lambda to: server.admin("PUT", "/models/moods/aliases/prod", {"version": to, "was": "1"}), labels
                )
            )
        assert sorted(one.status_code for one in moves) == [200, 409]


def test_a_new_model_is_served_from_when_it_is_loaded_until_it_is_removed(moods, odds):
    assert moods.post("/predict/later", QUIET).status_code == 404
    assert load(moods, "later", odds["flip"], version="1").status_code == 201
    assert said(moods.post("/predict/later", QUIET)) == ("1", "loud")
    assert "Row-later" in moods.get("/openapi.json").json()["components"]["schemas"]
    assert moods.admin("DELETE", "/models/later").json() == {"model": "later", "answered_all": True}
    assert moods.post("/predict/later", QUIET).status_code == 404
    assert "Row-later" not in moods.get("/openapi.json").json()["components"]["schemas"]


@pytest.mark.row("B19")
def test_a_bundle_that_vanishes_after_it_was_loaded_goes_on_answering(odds, tmp_path):
    folder = shutil.copytree(odds["flip"], tmp_path / "brief")
    with serving([f"moods:1={folder}"], tmp_path, odd=True) as server:
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
        assert said(server.post("/predict", QUIET)) == ("1", "loud")
        shutil.rmtree(folder)
        assert said(server.post("/predict", QUIET)) == ("1", "loud")
        assert load(server, "moods", folder, version="2").json()["error"]["reason"] == "no_bundle"


@pytest.mark.row("F16")
def test_a_model_that_hangs_is_not_ready_others_go_on_and_the_server_still_ends(odds, tmp_path):
    limits = ["--limit", "hang_seconds=1", "--limit", "queue_seconds=60", "--limit", "request_seconds=3"]
    with several(odds, tmp_path, *limits, "--limit", "drain_seconds=1", ODD_SECONDS="10000") as server:
        with ThreadPoolExecutor(2) as pool:
            stuck = pool.submit(server.post, "/predict", {"row": {"text": SLEEP}})
            time.sleep(0.3)
            queued = pool.submit(server.post, "/predict", QUIET)
            wait_for(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 503, seconds=5)
            assert httpx.get(f"{server.url}/v2/health/live").status_code == 200
            late = server.post("/predict", QUIET)
            assert (late.status_code, late.json()["error"]["code"]) == (503, "model_hangs")
            assert int(late.headers["retry-after"]) >= 1
            assert [one.result().status_code for one in (stuck, queued)] == [504, 504]
        assert said(server.post("/predict/moods/versions/2", QUIET)) == ("2", "loud")
        assert server.post("/predict/words", {"row": {"words": "loud 1"}}).status_code == 200
        assert server.get("/v2/models/words/ready").status_code == 200
        assert server.get("/v2/models/moods/ready").status_code == 503
        assert server.figures()['underlay_version_hung{model="moods",version="1"}'] == 1
        point(server, "prod", "2")  # an operator helps himself
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
        assert said(server.post("/predict", QUIET)) == ("2", "loud")
        assert server.admin("DELETE", "/models/moods/versions/1").json()["answered_all"] is True
        assert "model_hangs" in [line["event"] for line in server.logged()]
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 10, "the end of the server waited for a model that hangs"


def test_the_stop_switch_refuses_at_once_whoever_comes_and_whoever_waits(odds, tmp_path):
    with several(odds, tmp_path, "--limit", "queue_seconds=60", ODD_SECONDS="3") as server:
        with ThreadPoolExecutor(2) as pool:
            begun = pool.submit(server.post, "/predict", {"row": {"text": SLEEP}})
            time.sleep(0.5)
            queued = pool.submit(server.post, "/predict", QUIET)
            time.sleep(0.3)
            started = time.monotonic()
            assert server.admin("POST", "/models/moods/stop", {}).json() == {"model": "moods", "stopped": True}
            assert queued.result().json()["error"]["code"] == "stopped"
            assert time.monotonic() - started < 1
            found = server.post("/predict", QUIET)
            assert (found.status_code, found.json()["error"]["code"]) == (503, "stopped")
            assert server.post("/predict/moods/versions/2", QUIET).status_code == 503
            assert server.post("/predict/words", {"row": {"words": "loud 1"}}).status_code == 200
            assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
            assert begun.result().json()["error"]["code"] == "stopped", "an answer was given after the stop"
        assert server.admin("POST", "/stop", {}).status_code == 200
        assert server.post("/predict/words", {"row": {"words": "loud 1"}}).status_code == 503
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 503
        assert server.admin("POST", "/start", {}).status_code == 200
        assert server.post("/predict/words", {"row": {"words": "loud 1"}}).status_code == 200
        assert server.post("/predict", QUIET).status_code == 503
        assert server.admin("POST", "/models/moods/start", {}).status_code == 200
        assert said(server.post("/predict", QUIET)) == ("1", "quiet")


@pytest.mark.row("F13")
def test_aliases_versions_and_stops_survive_a_server_that_is_killed(odds, tmp_path):
    kept = ["--aliases", str(tmp_path / "aliases.json")]
    with several(odds, tmp_path, *kept) as server:
        copy = shutil.copytree(odds["flip"], tmp_path / "copy")
        spare = shutil.copytree(odds["plain"], tmp_path / "spare")
        assert load(server, "moods", copy, version="3").status_code == 201
        assert load(server, "moods", spare, version="4").status_code == 201
        assert load(server, "later", odds["flip"]).status_code == 201
        point(server, "prod", "3")
        point(server, "canary", "2", weight=0.25)
        point(server, "shadow", "4")
        assert server.admin("POST", "/models/later/stop", {}).status_code == 200
        before = server.admin("GET", "/models").json()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with several(odds, tmp_path, *kept) as server:
        assert server.admin("GET", "/models").json() == before | {"models": before["models"]}
        assert (server.version, said(server.post("/predict", {"row": {"text": "quiet 3"}}))[1]) == ("3", "loud")
        second = subprocess.run(
            [sys.executable, str(ODD), "serve", str(odds["plain"]), "--name", "moods", "--open", "--port", "0",
             "--admin-port", "0", *kept],
            capture_output=True, encoding="utf-8", timeout=60,
        )  # fmt: skip
        assert (second.returncode, second.stderr[:25]) == (2, "underlay: aliases_locked:")
    shutil.rmtree(spare)
    with several(odds, tmp_path, *kept) as server:  # what only listened is left out, and said
        assert [line["version"] for line in server.logged() if line["event"] == "left_out"] == ["4"]
        told = server.admin("GET", "/models/moods").json()
        assert (told["prod"], told["canary"], told["shadow"]) == ("3", "2", None)
    shutil.rmtree(copy)
    refused = subprocess.run(
        [sys.executable, str(ODD), "serve", f"moods:1={odds['plain']}", "--open", "--port", "0", "--admin-port", "0",
         *kept],
        capture_output=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert refused.returncode == 4
    assert "version 3 of moods answered before" in refused.stderr
    assert "aliases.json" in refused.stderr


def test_a_change_that_cannot_be_kept_is_not_made_but_a_stop_is(odds, tmp_path):
    folder = tmp_path / "kept"
    with several(odds, tmp_path, "--aliases", str(folder / "aliases.json")) as server:
        shutil.rmtree(folder)
        for found in (
            server.admin("PUT", "/models/moods/aliases/prod", {"version": "2"}),
            load(server, "moods", odds["plain"], version="3"),
            server.admin("DELETE", "/models/moods/versions/2"),
            server.admin("POST", "/stop", {}),
        ):
            assert (found.status_code, found.json()["error"]["code"]) == (503, "aliases_unwritten"), found.text
        assert server.post("/predict", QUIET).json()["error"]["code"] == "stopped"
        folder.mkdir()
        assert server.admin("POST", "/start", {}).status_code == 200
        assert said(server.post("/predict", QUIET)) == ("1", "quiet")
        assert [one["version"] for one in server.admin("GET", "/models/moods").json()["versions"]] == ["1", "2"]


def test_a_change_that_the_state_refuses_is_not_made_by_a_restart_either(odds, tmp_path):
    folder = tmp_path / "state"
    with several(odds, tmp_path, "--state", str(folder)) as server:
        point(server, "prod", "2")
        before = json.loads((folder / "aliases.json").read_bytes())
        with closing(sqlite3.connect(folder / "state.sqlite", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            found = server.admin("PUT", "/models/moods/aliases/prod", {"version": "1"})
            assert (found.status_code, found.json()["error"]["code"]) == (503, "database_busy"), found.text
        assert said(server.post("/predict", QUIET))[0] == "2"
        assert json.loads((folder / "aliases.json").read_bytes()) == before
