"""What operators may do: only with their key, only what the document says, and from the command line."""

import asyncio
import gc
import json
import shutil
import subprocess
import weakref

import httpx
import pytest
from tests.bundle import tiny
from tests.serve.conftest import serving
from tests.serve.test_versions import QUIET, said, several

from underlay.bundle import open_bundle, seal
from underlay.serve.admin import Admin
from underlay.serve.admin_client import AdminClient
from underlay.serve.admin_openapi import admin_openapi
from underlay.serve.admin_refusals import ADMIN_ANSWERS, AdminRefusal
from underlay.serve.limits import Limits
from underlay.serve.releases import Releases
from underlay.serve.served import Served
from underlay.serve.service import Service
from underlay.serve.watching import watch_folders


@pytest.fixture
def folder(tmp_path):
    seal(tmp_path / "tiny", tiny.contents())
    return tmp_path / "tiny"


@pytest.fixture
def releases(folder):
    return Releases(Service(Served("m", open_bundle(folder), "1"), limits=Limits()))


def test_the_operators_document_has_every_route_and_every_code(releases):
    paths = admin_openapi()["paths"]
    routes = {route.path: {method.lower() for method in route.methods} - {"head"} for route in Admin(releases).routes()}
    assert {path: set(operations) for path, operations in paths.items()} == routes
    assert {code for code in ADMIN_ANSWERS if f"`{code}`" not in json.dumps(paths)} == set()


@pytest.mark.row("A06", "A11", "A12")
def test_changes_need_a_key_of_scope_admin_even_in_the_open_minutes(odds, tmp_path):
    changes = [
        ("POST", "/stop", {}),
        ("DELETE", "/models/words", None),
        ("POST", "/models/moods/rollback", {}),
        ("PUT", "/models/moods/aliases/prod", {"version": "2"}),
        ("POST", "/models/moods/versions", {}),
    ]
    with several(odds, tmp_path, "--open") as server:
        for method, path, body in changes:
            for headers, status in (({}, 401), (server.headers(), 403)):
                found = httpx.request(method, server.admin_url + path, json=body, headers=headers)
                assert found.status_code == status, (method, path)
            assert httpx.request(method, server.url + path, json=body).status_code == 404, "on the port for everybody"
        form = {"authorization": f"Bearer {server.admin_key}", "content-type": "text/plain"}
        assert httpx.post(f"{server.admin_url}/stop", content="{}", headers=form).status_code == 415
        assert httpx.get(f"{server.admin_url}/models").json()["models"][0]["prod"] == "1"
        assert said(server.post("/predict", QUIET)) == ("1", "quiet")
        refused = server.admin("PUT", "/models/moods", {})
        assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "DELETE"})


def test_the_commands_change_a_running_server_and_say_what_they_did(odds, tmp_path, underlay):
    with several(odds, tmp_path) as server:
        key = tmp_path / "key"
        key.write_text(server.admin_key + "\n", encoding="utf-8")
        copy = shutil.copytree(odds["flip"], tmp_path / "copy")

        def admin(*words: str) -> subprocess.CompletedProcess[str]:
            return underlay("admin", *words, "--url", server.admin_url, "--key-file", str(key))

        assert "moods:3 is loaded" in done(admin("load", f"moods:3={copy}"))
        assert "canary 3 (0.25)" in done(admin("canary", "moods:3", "--weight", "0.25"))
        assert "shadow 2" in done(admin("shadow", "moods:2"))
        listed = done(admin("list"))
        assert [word in listed for word in ("canary 0.25", "shadow", "prod", "ready", "words")] == [True] * 5
        assert done(admin("prod", "moods:3")) == "moods: prod 3, shadow 2\n"
        assert done(admin("rollback", "moods")) == "moods: prod 1, shadow 2\n"
        assert done(admin("shadow", "moods", "--off")) == "moods: prod 1\n"
        assert done(admin("unload", "moods:3")) == "moods:3 is unloaded\n"
        assert json.loads(done(admin("stop", "--json"))) == {"model": None, "stopped": True}
        assert server.post("/predict", QUIET).json()["error"]["code"] == "stopped"
        assert done(admin("start")) == "every model answers again\n"
        used = admin("unload", "moods:1")
        assert (used.returncode, used.stderr.split(":")[1].strip()) == (2, "version_in_use")
        assert "['prod']" in used.stderr
        (copy / "labels.json").write_text("{}", encoding="utf-8")
        broken = admin("load", f"moods:3={copy}")
        assert (broken.returncode, broken.stderr.split(":")[1].strip()) == (4, "bundle_refused")
        wrong = underlay("admin", "list", "--url", server.admin_url, UNDERLAY_ADMIN_KEY="ul_no_key")
        assert (wrong.returncode, wrong.stderr.split(":")[1].strip()) == (2, "no_key")
    for words, code in ((("list",), 6), (("canary", "m:1"), 2), (("prod", "m"), 2)):
        found = underlay("admin", *words, "--url", server.admin_url, UNDERLAY_ADMIN_KEY="x")
        assert found.returncode == code, found.stderr
        assert found.stderr.count("\n") == 1


def done(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_a_client_that_meets_something_else_than_a_server_says_so(tmp_path):
    from underlay.core import UsageError

    with pytest.raises(UsageError, match="is no address"):
        AdminClient("ftp://x", "k").ask("GET", "/models")


def test_memory_of_a_version_goes_with_it_and_waits_for_no_collector(releases, folder):
    async def work() -> None:
        releases.service.start()
        gc.disable()
        try:
            version, new = await releases.load("m", folder, "2", actor="a")
            seen = [weakref.ref(version), weakref.ref(version.served.bundle.backend)]
            del version
            assert new
            await releases.unload("m", "2", actor="a")
            await asyncio.sleep(0.05)
            assert [one() for one in seen] == [None, None]
        finally:
            gc.enable()
            await releases.service.stop()

    asyncio.run(work())


@pytest.mark.row("F10")
def test_a_load_for_which_memory_does_not_suffice_leaves_whoever_answers(releases, folder, monkeypatch):
    def short(*_: object) -> None:
        raise MemoryError

    async def work() -> None:
        releases.service.start()
        monkeypatch.setattr("underlay.serve.releases.open_bundle", short)
        with pytest.raises(AdminRefusal) as found:
            await releases.load("m", folder, "2", actor="a")
        assert (found.value.code, found.value.status) == ("no_memory", 503)
        assert int(found.value.headers["retry-after"]) >= 1
        assert list(releases.service.model.versions) == ["1"]
        monkeypatch.undo()
        assert (await releases.load("m", folder, "2", actor="a"))[1], "the next one found the way closed"
        await releases.service.stop()

    asyncio.run(work())


@pytest.mark.row("B19")
def test_a_folder_that_is_no_longer_what_was_loaded_is_told_once_and_when_it_is_back(releases, folder, caplog):
    caplog.set_level("INFO", "underlay.serve")
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)

    async def until(changed: bool) -> None:
        while releases.service.model.prod.changed != changed:
            await asyncio.sleep(0.01)

    async def work() -> None:
        watching = asyncio.create_task(watch_folders(releases.service, releases.loader, every=0.02))
        await asyncio.sleep(0.3)
        assert not releases.service.model.prod.changed
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
        await asyncio.wait_for(until(True), 20)
        (folder / "model.safetensors").write_bytes(weights)
        await asyncio.wait_for(until(False), 20)
        shutil.rmtree(folder)
        await asyncio.wait_for(until(True), 20)
        await asyncio.sleep(0.1)
        watching.cancel()

    asyncio.run(work())
    assert [record.message for record in caplog.records] == ["bundle_changed", "bundle_restored", "bundle_changed"]


def test_a_model_with_files_that_is_loaded_later_may_be_sent_them(odds, tmp_path):
    from tests.compress import bundles

    picture = bundles.sealed(tmp_path / "pictures", {"image": bundles.fitted("image.v1")})
    with serving([f"moods:1={odds['plain']}"], tmp_path, odd=True) as server:
        large = {"row": {"text": "a" * (2 << 20)}}
        assert server.post("/predict", large).status_code == 413
        body = {"bundle": str(picture), "version": "1"}
        assert server.admin("POST", "/models/pictures/versions", body).status_code == 201
        found = server.post("/predict/pictures", {"row": {"image": "A" * (2 << 20)}})
        assert (found.status_code, found.json()["error"]["field"]) == (422, "/row/image"), found.text
        assert server.post("/predict", large).json()["error"]["code"] == "body_too_large"


def test_the_chain_tells_of_every_change(odds, tmp_path, underlay):
    from sqlalchemy import create_engine, text

    with several(odds, tmp_path, "--state", str(tmp_path / "state")) as server:
        assert server.admin("PUT", "/models/moods/aliases/prod", {"version": "2"}).status_code == 200
        assert server.admin("POST", "/models/moods/stop", {}).status_code == 200
        assert server.admin("POST", "/models/moods/start", {}).status_code == 200
        assert server.admin("DELETE", "/models/moods/versions/1").status_code == 200
        assert said(server.post("/predict", QUIET)) == ("2", "loud")
        assert server.stop() == 0
    with create_engine(f"sqlite:///{tmp_path / 'state' / 'state.sqlite'}").connect() as connection:
        entries = [json.loads(row.entry) for row in connection.execute(text("SELECT entry FROM audit ORDER BY seq"))]
    told = [entry["action"] for entry in entries]
    assert told == ["start"] * 3 + ["alias", "stop_answering", "start_answering", "unload", "predict", "stop"]
    assert entries[3]["extra"]["prod"] == "2"
    assert entries[3]["actor"] not in ("server", "open")
    assert json.loads((tmp_path / "state" / "aliases.json").read_text(encoding="utf-8"))["models"]["moods"]
