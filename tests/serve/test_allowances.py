"""A key may ask so often and no more: whatever other keys do, and whatever happens to the server meanwhile."""

import json
import random
import stat
import statistics
import time
from contextlib import closing

import httpx
import pytest
from scipy.stats import ks_2samp
from tests.serve.conftest import serving

from underlay.core import UsageError
from underlay.serve.access import Access
from underlay.serve.allowances import Allowances, parse_rate
from underlay.serve.keys import create, read_keys
from underlay.serve.limits import Limits
from underlay.serve.quotas import BLOCKS, Quotas
from underlay.serve.refusals import Refusal

NOON = 1_700_049_600.0
"""Midday of 2023-11-15, UTC."""


def bearer(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + text.encode())]


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def quotas(tmp_path):
    def opened(today: float = NOON) -> Quotas:
        return Quotas(tmp_path / "usage.json", clock=Clock(0.0), today=Clock(today))

    return opened


def taken(quotas: Quotas, most: int, *, key: str = "a", tries: int = 10_000) -> int:
    return sum(quotas.take(key, most) for _ in range(tries))


@pytest.mark.row("A15")
def test_a_quota_is_given_whole_and_not_once_more(quotas):
    one = quotas()
    assert taken(one, 1_234) == 1_234
    assert not one.take("a", 1_234)
    assert taken(one, 7, key="b") == 7  # another key's is its own
    assert 0 < one.seconds_left() == 43_200


@pytest.mark.row("A15")
@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "killed"])
def test_what_was_counted_outlives_the_server(quotas, stopped):
    first = quotas()
    assert taken(first, 1_000, tries=333) == 333
    if stopped:
        first.close()
    left = taken(quotas(), 1_000)
    assert left == 667 if stopped else 667 - 1_000 // BLOCKS <= left <= 667


@pytest.mark.row("A15")
def test_two_servers_that_share_a_file_give_a_quota_once(quotas):
    first, second = quotas(), quotas()
    given = sum(server.take("a", 1_000) for _ in range(600) for server in (first, second))
    assert given == 1_000
    assert taken(first, 1_000) + taken(second, 1_000) == 0


@pytest.mark.row("F29")
def test_a_day_begins_at_midnight_utc(tmp_path):
    today = Clock(NOON)
    quotas = Quotas(tmp_path / "usage.json", today=today)
    assert taken(quotas, 5) == 5
    today.now = NOON + 12 * 3_600 - 1
    assert not quotas.take("a", 5)
    today.now += 1
    assert taken(quotas, 5) == 5
    assert json.loads((tmp_path / "usage.json").read_text(encoding="utf-8"))["counted"] == {"a": 5}


def test_it_is_not_written_for_every_request(quotas, monkeypatch):
    written = []
    monkeypatch.setattr("underlay.serve.quotas.write_file", lambda path, data: written.append(path))
    taken(quotas(), 100_000, tries=5_000)
    assert len(written) == 5


def test_a_request_that_is_given_back_may_be_asked_again(quotas):
    one = quotas()
    assert taken(one, 3) == 3
    one.give_back("a")
    assert taken(one, 3) == 1


def test_counts_that_cannot_be_read_or_written_admit_nobody(quotas, tmp_path):
    path = tmp_path / "usage.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(Refusal) as refused:
        quotas().take("a", 5)
    assert (refused.value.code, refused.value.status) == ("quota_unknown", 503)
    with pytest.raises(UsageError, match="remove it"):
        quotas().check()
    path.unlink()
    quotas().check()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.row("A15")
def test_a_key_may_burst_and_then_asks_at_its_rate_and_another_key_does_not_notice(tmp_path):
    path, clock = tmp_path / "keys.json", Clock(100.0)
    slow, _ = create(path, name="slow", rate=2.0)
    usual, _ = create(path, name="usual")
    allowances = Allowances(Limits(), Quotas(tmp_path / "usage.json"), clock=clock)
    access = Access(path, allowances=allowances, clock=clock)

    def ask(text: str) -> Refusal | None:
        try:
            access.admit(bearer(text), peer="192.0.2.1", scope="predict")
        except Refusal as refusal:
            return refusal
        return None

    said = [ask(slow) for _ in range(6)]
    assert said[:4] == [None] * 4
    assert [(one.code, one.status) for one in said[4:] if one] == [("rate_limited", 429)] * 2
    assert int(said[4].headers["retry-after"]) >= 1
    assert [ask(usual) for _ in range(100)] == [None] * 100
    assert ask(usual).code == "rate_limited"
    clock.now += 0.5
    assert (ask(slow), ask(slow).code) == (None, "rate_limited")
    clock.now += 1e6  # a quiet time is no credit beyond the burst
    assert sum(ask(slow) is None for _ in range(10)) == 4


@pytest.mark.parametrize(
    ("text", "rate"), [("10/s", 10.0), ("0.5/s", 0.5), ("90/min", 1.5), ("36/h", 0.01), ("1/min", 1 / 60)]
)
def test_a_rate_is_a_number_and_a_unit(text, rate):
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "10", "10/d", "0/s", "-1/s", "nan/s", "1e9/s", "10 / s", "１/s", "10/s\n"])
def test_another_rate_is_refused(text):
    with pytest.raises(UsageError, match="10/s"):
        parse_rate(text)


@pytest.mark.row("A15")
def test_a_running_server_limits_a_key_that_was_made_meanwhile_and_counts_on_after_a_restart(text_bundle, tmp_path):
    with serving(text_bundle, tmp_path) as server:
        brisk, _ = create(server.keys, name="brisk", rate=1.0)
        small, _ = create(server.keys, name="small", daily=3)
        time.sleep(0.6)
        found = [ask(server.url, brisk) for _ in range(4)]
        assert [one.status_code for one in found[:2]] == [200, 200]
        assert found[3].json()["error"].startswith("rate_limited: ")
        assert 1 <= int(found[3].headers["retry-after"]) <= 2
        assert [ask(server.url, small).status_code for _ in range(3)] == [200] * 3
        over = ask(server.url, small)
        assert (over.status_code, over.json()["error"].partition(":")[0]) == (429, "quota_exceeded")
        assert server.get("/v2").status_code == 200
        figures = server.figures()
        assert figures['underlay_errors_total{reason="quota_exceeded"}'] == 1
        server.process.kill()
        server.process.wait()
    with serving(text_bundle, tmp_path) as server:
        assert ask(server.url, small).status_code == 429
        assert ask(server.url, brisk).status_code == 200


def ask(url: str, key: str) -> httpx.Response:
    return httpx.get(f"{url}/v2", headers={"authorization": f"Bearer {key}"})


@pytest.mark.row("A15")
def test_what_fails_through_our_fault_costs_no_quota(serve_odd):
    with serve_odd("--limit", "queue_seconds=30") as server:
        key, _ = create(server.keys, name="small", daily=2)
        time.sleep(0.6)
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=60) as client:

            def post(text: str) -> int:
                return client.post(f"{server.url}/predict", json={"row": {"text": text}}).status_code

            assert [post("poison " * 4) for _ in range(3)] == [500] * 3
            assert [post("quiet 1"), post("loud 1"), post("loud 2")] == [200, 200, 429]


def test_a_file_of_counts_in_a_folder_that_cannot_be_written_is_told_at_the_start(text_bundle, tmp_path, underlay):
    create(tmp_path / "keys.json", name="shop")
    done = underlay(
        "serve", str(text_bundle), "--keys", str(tmp_path / "keys.json"), "--usage", "/proc/usage.json", "--port", "0",
        "--admin-port", "0",
    )  # fmt: skip
    assert done.returncode == 5
    assert done.stderr.startswith("underlay: usage: ")
    assert "--usage" in done.stderr


@pytest.mark.parametrize("name", ["", "two\nlines", "a\u2028b", "\x1b[31mred", "a" * 101])
def test_a_name_that_would_break_the_list_of_keys_is_refused(name, tmp_path, underlay):
    path = tmp_path / "keys.json"
    done = underlay("keys", "create", "--name", name, "--keys", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("underlay: key_name: ")
    assert done.stderr.count("\n") == 1
    assert not path.exists()


def test_a_name_with_a_line_break_from_an_older_version_is_listed_in_one_line(tmp_path, underlay):
    path = tmp_path / "keys.json"
    create(path, name="older", rate=10.0, daily=5_000)
    path.write_text(path.read_text(encoding="utf-8").replace('"older"', '"old\\ner"'), encoding="utf-8")
    listed = underlay("keys", "list", "--keys", str(path)).stdout
    (line,) = [line for line in listed.splitlines() if "10/s" in line]
    assert "old�er" in line
    assert "5,000" in line


def test_the_command_makes_a_key_with_its_rate_and_quota(tmp_path, underlay):
    path = tmp_path / "keys.json"
    made = underlay("keys", "create", "--name", "shop", "--rate", "30/min", "--daily", "1000", "--keys", str(path))
    assert made.returncode == 0, made.stderr
    (key,) = read_keys(path)
    assert (key.rate, key.daily) == (0.5, 1_000)
    for wrong in (["--rate", "many"], ["--daily", "0"], ["--days", "1e9"]):
        assert underlay("keys", "create", "--name", "x", *wrong, "--keys", str(path)).returncode == 2
    assert len(read_keys(path)) == 1


def test_an_operator_is_not_stopped_by_a_quota_that_is_spent_or_cannot_be_written(tmp_path):
    path = tmp_path / "keys.json"
    text, _ = create(path, name="me", scopes=("predict", "admin"), daily=1)
    with closing(Allowances(Limits(), Quotas(tmp_path / "usage.json"))) as allowances:
        access = Access(path, allowances=allowances)
        access.admit(bearer(text), peer="127.0.0.1", scope="predict")
        with pytest.raises(Refusal, match="quota_exceeded"):
            access.admit(bearer(text), peer="127.0.0.1", scope="predict")
        for _ in range(5):
            key = access.admit(bearer(text), peer="127.0.0.1", scope="admin")
            access.give_back(key, "admin")
        with pytest.raises(Refusal, match="quota_exceeded"):
            access.admit(bearer(text), peer="127.0.0.1", scope="predict")


@pytest.mark.row("A06")
def test_whoever_keeps_a_record_is_told_of_each_refusal_without_the_key_itself(tmp_path):
    path, noted = tmp_path / "keys.json", []
    text, key = create(path, name="shop")
    access = Access(path, noted=lambda *told: noted.append(told))
    for headers, scope in (([], "predict"), (bearer("wrong"), "predict"), (bearer(text), "admin")):
        with pytest.raises(Refusal):
            access.admit(headers, peer="192.0.2.7", scope=scope)
    assert noted == [("no_key", None, "192.0.2.7"), ("no_key", None, "192.0.2.7"), ("scope", key, "192.0.2.7")]


@pytest.mark.row("A13")
def test_a_wrong_key_takes_as_long_as_another_wrong_key_whatever_it_begins_with(tmp_path):
    path = tmp_path / "keys.json"
    text, _ = create(path, name="shop")
    access = Access(path)
    headers = [b"Bearer " + key.encode() for key in (text[:-1] + ("A" if text[-1] != "A" else "B"), text.swapcase())]
    spent: list[list[int]] = [[], []]
    rng = random.Random(0)
    for _ in range(40_000):  # in an order without a rhythm, which the machine would learn
        which = rng.randrange(2)
        began = time.perf_counter_ns()
        found = access._key(headers[which])
        spent[which].append(time.perf_counter_ns() - began)
        assert found is None
    first, second = spent
    assert abs(statistics.median(first) - statistics.median(second)) < 5_000
    # At 0.8 microseconds each even the place of a word in memory is seen; a comparison byte by byte shifts the whole.
    assert ks_2samp(first, second).statistic < 0.1


def test_addresses_of_one_ipv6_network_are_one_guesser(tmp_path):
    access = Access(tmp_path / "keys.json", failures=3)

    def guess(peer: str) -> str:
        with pytest.raises(Refusal) as refused:
            access.admit(bearer("wrong"), peer=peer, scope="predict")
        return refused.value.code

    assert [guess(f"2001:db8::{number}") for number in range(4)] == ["no_key"] * 3 + ["too_many_failures"]
    assert guess("2001:db8:0:1::1") == "no_key"
    assert guess("::ffff:192.0.2.7") == "no_key"


def test_a_file_of_counts_holds_ids_and_no_key(tmp_path):
    text, key = create(tmp_path / "keys.json", name="shop")
    quotas = Quotas(tmp_path / "usage.json")
    quotas.take(key.id, 10)
    kept = (tmp_path / "usage.json").read_text(encoding="utf-8")
    assert text.rpartition("_")[2] not in kept
    assert key.digest not in kept
