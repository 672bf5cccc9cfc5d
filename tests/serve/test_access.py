"""Nobody enters without a key, no address is forgotten, and guessing is slow."""

import json
import stat
import time
from itertools import product

import httpx
import pytest
from starlette.routing import Route
from tests.serve.conftest import serving

from underlay.bundle import open_bundle
from underlay.core import UsageError
from underlay.serve.access import OPEN_SECONDS, RELOAD, Access
from underlay.serve.app import PUBLIC, admin_app, data_app
from underlay.serve.keys import DAY, create, read_keys, revoke
from underlay.serve.limits import Limits
from underlay.serve.refusals import Refusal
from underlay.serve.releases import Releases
from underlay.serve.served import Served
from underlay.serve.service import Service

ROW = {"row": {"text": "a quiet film"}}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def bearer(text: str | bytes) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + (text.encode() if isinstance(text, str) else text))]


def code(access: Access, headers: list[tuple[bytes, bytes]], **more: str) -> str:
    with pytest.raises(Refusal) as found:
        access.admit(headers, peer=more.get("peer", "10.0.0.1"), scope=more.get("scope", "predict"))
    return found.value.code


@pytest.fixture(scope="module")
def apps(text_bundle, tmp_path_factory):
    service = Service(Served("reviews", open_bundle(text_bundle)), limits=Limits())
    access = Access(tmp_path_factory.mktemp("keys") / "keys.json")
    return data_app(service, access), admin_app(Releases(service), access)


@pytest.mark.row("A11")
def test_every_method_of_every_route_needs_a_key_but_the_two_of_health(server, apps):
    for app, url in zip(apps, (server.url, server.admin_url), strict=True):
        assert all(isinstance(route, Route) for route in app.router.routes), "a mount hides its routes from this test"
        paths = [
            route.path.replace("{name}", server.name).replace("{version}", server.version)
            for route in app.router.routes
        ]
        assert paths
        for path, method in product([*paths, "/anything-else"], METHODS):
            found = httpx.request(method, url + path)
            if path in PUBLIC and url == server.url:
                assert found.status_code == (200 if method in ("GET", "HEAD") else 405), (method, path)
            else:
                assert found.status_code == 401, (method, path)
                assert found.headers["www-authenticate"] == "Bearer"
    assert PUBLIC == ("/v2/health/live", "/v2/health/ready")


@pytest.mark.row("A01", "A03", "A04", "A05")
def test_no_key_an_unknown_one_a_revoked_one_and_an_expired_one_are_told_the_same(tmp_path):
    now = [1e9]
    path = tmp_path / "keys.json"
    good, _ = create(path, name="good", clock=lambda: now[0])
    expiring, _ = create(path, name="brief", days=1, clock=lambda: now[0])
    closed, record = create(path, name="closed", clock=lambda: now[0])
    ticks = iter(range(10_000))
    access = Access(path, clock=lambda: float(next(ticks)), today=lambda: now[0], failures=100)
    for text in (good, expiring, closed):
        assert access.admit(bearer(text), peer="10.0.0.1", scope="predict") is not None
    revoke(path, record.id)
    now[0] += DAY
    said = {code(access, headers) for headers in ([], bearer("ul_0_x"), bearer(closed), bearer(expiring))}
    assert said == {"no_key"}
    assert access.admit(bearer(good), peer="10.0.0.1", scope="predict") is not None
    now[0] -= DAY  # a clock set back opens what had not been revoked
    assert access.admit(bearer(expiring), peer="10.0.0.1", scope="predict") is not None


@pytest.mark.row("A02")
def test_malformed_credentials_are_no_key_and_two_are_no_request(server):
    for given in ("Basic abc", "Bearer", f"Bearer {server.key} x", server.key, f"Bearer{server.key}"):
        assert httpx.get(f"{server.url}/v2", headers={"authorization": given}).status_code == 401, given
    twice = [("authorization", f"Bearer {server.key}")] * 2
    assert httpx.get(f"{server.url}/v2", headers=twice).status_code == 400


@pytest.mark.row("A04")
def test_a_running_server_refuses_a_revoked_key_within_a_second(server):
    text, record = create(server.keys, name="short")
    headers = {"authorization": f"Bearer {text}"}
    time.sleep(RELOAD)
    assert httpx.get(f"{server.url}/v2", headers=headers).status_code == 200
    revoke(server.keys, record.id)
    time.sleep(1)
    assert httpx.get(f"{server.url}/v2", headers=headers).status_code == 401
    assert server.get("/v2").status_code == 200


@pytest.mark.row("A06")
def test_a_key_for_questions_reads_no_figures_and_the_other_way_round(server):
    predict, admin = ({"authorization": f"Bearer {key}"} for key in (server.key, server.admin_key))
    assert httpx.get(f"{server.admin_url}/metrics", headers=predict).status_code == 403
    assert httpx.get(f"{server.admin_url}/metrics", headers=admin).status_code == 200
    assert httpx.get(f"{server.url}/v2", headers=admin).status_code == 403


@pytest.mark.row("A08")
def test_a_key_in_the_address_or_a_cookie_opens_nothing_and_is_not_logged(server):
    assert httpx.get(f"{server.url}/v2?key={server.key}&authorization=Bearer%20{server.key}").status_code == 401
    assert httpx.get(f"{server.url}/v2", headers={"cookie": f"authorization=Bearer {server.key}"}).status_code == 401
    assert server.key not in server.log.read_text(encoding="utf-8")


@pytest.mark.row("A09")
def test_a_key_beyond_512_bytes_or_beyond_ascii_is_not_even_hashed(tmp_path, monkeypatch):
    access = Access(tmp_path / "keys.json")
    monkeypatch.setattr("underlay.serve.access.digest_of", lambda text: pytest.fail(f"hashed {len(text)}"))
    assert code(access, bearer("a" * 10_000)) == "no_key"
    assert code(access, bearer("клюc".encode())) == "no_key"


@pytest.mark.row("A10", "T21")
def test_guessing_stops_the_guesser_alone_whatever_address_he_claims(text_bundle, tmp_path):
    with serving(text_bundle, tmp_path, "--limit", "failed_keys=5", "--host", "127.0.0.1") as server:
        for number in range(5):
            headers = {"authorization": "Bearer wrong", "x-forwarded-for": f"10.0.0.{number}"}
            assert httpx.get(f"{server.url}/v2", headers=headers).status_code == 401
        stopped = httpx.get(f"{server.url}/v2", headers=server.headers(**{"x-forwarded-for": "10.1.1.1"}))
        assert (stopped.status_code, stopped.json()["error"].split(":")[0]) == (429, "too_many_failures")
        assert int(stopped.headers["retry-after"]) >= 1
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as elsewhere:
            assert elsewhere.get(f"{server.url}/v2", headers=server.headers()).status_code == 200


@pytest.mark.row("A12")
def test_figures_are_not_on_the_port_for_everybody(server):
    assert server.get("/metrics").status_code == 404


def test_the_failures_of_many_peers_take_bounded_memory(tmp_path):
    access = Access(tmp_path / "keys.json")
    for number in range(5_000):
        code(access, bearer("wrong"), peer=f"peer {number}")
    assert len(access._failed) == 4_096


def test_open_lasts_ten_minutes_and_a_wrong_key_is_wrong_all_the_same(tmp_path):
    now = [0.0]
    access = Access(tmp_path / "keys.json", open_seconds=OPEN_SECONDS, clock=lambda: now[0])
    assert access.admit([], peer="127.0.0.1", scope="admin") is None
    assert code(access, bearer("wrong")) == "no_key"
    now[0] = OPEN_SECONDS + 1
    assert code(access, []) == "no_key"
    assert OPEN_SECONDS == 600


def test_open_is_refused_beyond_loopback_and_a_server_without_any_key_does_not_start(text_bundle, tmp_path, underlay):
    away = underlay("serve", str(text_bundle), "--open", "--host", "0.0.0.0", "--port", "0", "--admin-port", "0")
    assert away.returncode == 2
    assert away.stderr.startswith("underlay: open: ")
    empty = underlay("serve", str(text_bundle), "--keys", str(tmp_path / "none.json"), "--port", "0")
    assert empty.returncode == 2
    assert "underlay keys create" in empty.stderr


def test_an_open_server_answers_without_a_key(text_bundle, tmp_path):
    with serving(text_bundle, tmp_path, "--open") as server:
        assert httpx.post(f"{server.url}/predict", json=ROW, timeout=60).status_code == 200
        assert httpx.get(f"{server.url}/docs").status_code == 200


def test_of_a_key_the_file_has_its_digest_alone_and_belongs_to_its_owner(tmp_path):
    path = tmp_path / "deep" / "keys.json"
    text, key = create(path, name="shop", scopes=["predict", "admin"])
    kept = path.read_text(encoding="utf-8")
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == (key,)
    assert len(text) < 512


def test_a_file_of_keys_that_is_damaged_admits_nobody(tmp_path):
    path = tmp_path / "keys.json"
    text, _ = create(path, name="shop")
    ticks = iter(range(100))
    access = Access(path, clock=lambda: float(next(ticks)))
    assert access.admit(bearer(text), peer="a", scope="predict") is not None
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert code(access, bearer(text)) == "no_key"
    with pytest.raises(UsageError, match="no keys that can be read"):
        create(path, name="more")


def test_keys_that_are_made_at_once_are_all_kept(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: create(path, name=str(number))[0], range(20)))
    assert len(set(made)) == len(read_keys(path)) == 20


def test_the_commands_make_list_and_revoke(tmp_path, underlay):
    path = str(tmp_path / "keys.json")
    made = underlay("keys", "create", "--name", "shop", "--scope", "predict", "--days", "30", "--keys", path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("ul_")
    listed = json.loads(underlay("keys", "list", "--keys", path, "--json").stdout)["keys"]
    assert [(key["name"], key["scopes"], key["valid"]) for key in listed] == [("shop", ["predict"], True)]
    assert underlay("keys", "revoke", listed[0]["id"], "--keys", path).returncode == 0
    assert "revoked" in underlay("keys", "list", "--keys", path).stdout
    lost = underlay("keys", "revoke", "nobody", "--keys", path)
    assert (lost.returncode, lost.stderr.startswith("underlay: unknown_key: ")) == (2, True)
