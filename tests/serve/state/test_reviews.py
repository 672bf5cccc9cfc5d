"""What waits for a person is one person's at a time, decided once, and never lost."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.serve.conftest import serving
from tests.serve.state.answers import answered, declare
from tests.serve.state.conftest import State

from underlay.core import UsageError
from underlay.serve.keys import create, revoke
from underlay.serve.refusals import Refusal
from underlay.serve.state import ReviewRules, Store, erase, export_feedback, place_of, purge, verify_state
from underlay.serve.state.review_rules import put
from underlay.serve.state.reviews import LEASE, Decision, give_back, lease, list_items


def waits(store, *texts: str, key: str = "asker", below: float = 0.9) -> list[str]:
    """Answers that wait; their ids."""
    from dataclasses import replace

    one = replace(answered([{"text": text, "size": 1} for text in texts], key=key), rules=ReviewRules(below=below))
    return store.write(lambda transaction: one.write(transaction, told={}, once=None))["review_ids"]


def take(store, holder="anna", item=None, four_eyes=False):
    return store.write(lambda one: lease(one, holder=holder, item=item, four_eyes=four_eyes))


def decide(store, item, version, labels=None, key="anna", four_eyes=False):
    decision = Decision(item, version, labels or {"mood": "loud"}, key)
    return store.write(lambda one: decision.write(one, once=None, four_eyes=four_eyes))


def code(work) -> str:
    with pytest.raises(Refusal) as found:
        work()
    return found.value.code


@pytest.fixture
def store(state):
    with Store(state.place, serves=True) as found:
        declare(found)
        yield found


@pytest.fixture
def quick(sqlite_state):
    """In SQLite alone."""
    with Store(sqlite_state.place, serves=True) as found:
        declare(found)
        yield found


def age(store, microseconds: int) -> None:
    """Let leases end as if so much time had passed."""
    from sqlalchemy import update

    from underlay.serve.state.tables import REVIEWS

    store.write(lambda one: one.change(update(REVIEWS).values(lease_until=REVIEWS.c.lease_until - microseconds)))


def test_the_uncertain_and_some_of_the_others_wait():
    lots = iter([0.5, 0.005, 0.5])
    rules = ReviewRules(below=0.6, sample=0.01, lot=lambda: next(lots))
    assert rules.reasons([0.59, 0.6, 0.99, None]) == {0: "uncertain", 2: "sampled"}
    assert ReviewRules().reasons([0.0, None]) == {}
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="from 0 to 1"):
            ReviewRules(below=wrong)


def test_an_item_goes_from_new_to_leased_to_decided_and_becomes_a_label(store, state, tmp_path):
    first, second = waits(store, "call 13800138000", "another")
    with store.reading() as connection:
        assert [(one["prediction_id"], one["state"]) for one in list_items(connection, now=0)] == [
            (first, "new"), (second, "new"),
        ]  # fmt: skip
    taken = take(store)
    assert (taken["prediction_id"], taken["version"], taken["state"]) == (first, 1, "leased")
    assert taken["input"] == {"text": "call [PHONE_1]", "size": 1}
    told = decide(store, taken["item"], 1, {"mood": "loud", "tags": ["a"]})
    assert (told["override"], told["answer"]["mood"]["prediction"]) == (True, "calm")
    other = take(store)
    assert decide(store, other["item"], other["version"], {"mood": "calm"})["override"] is False
    assert code(lambda: take(store)) == "no_item"
    done = export_feedback(store, tmp_path / "more.jsonl", source=True)
    rows = [json.loads(line) for line in (tmp_path / "more.jsonl").read_text(encoding="utf-8").splitlines()]
    assert done.rows == 2
    assert [(row["mood"], row["tags"], row["labelled_by"]) for row in rows] == [
        ("loud", ["a"], "anna"), ("calm", None, "anna"),
    ]  # fmt: skip
    entries = [json.loads(row.entry)["action"] for row in state.rows("SELECT entry FROM audit ORDER BY seq")]
    assert entries == ["predict", "lease", "feedback", "feedback", "decide", "lease", "feedback", "decide", "export"]
    assert verify_state(state.place).rows == 5


def test_some_are_decided_before_the_models_answer_is_seen(quick):
    waits(quick, *(f"row {number}" for number in range(200)))
    shown = [("answer" in take(quick, holder=f"h{number}")) for number in range(200)]
    assert 2 < shown.count(False) < 50  # a tenth, by lot


@pytest.mark.row("R01")
def test_a_decision_on_an_old_version_is_refused(store):
    waits(store, "a")
    taken = take(store)
    age(store, LEASE + 1)
    again = take(store)
    assert again["version"] == 2
    assert code(lambda: decide(store, taken["item"], 1)) == "stale_version"
    assert decide(store, taken["item"], 2)["item"] == taken["item"]
    assert code(lambda: decide(store, taken["item"], 2)) == "item_decided"


@pytest.mark.row("R02")
def test_a_decision_after_the_lease_is_refused_and_the_item_is_somebody_elses(store):
    waits(store, "a")
    taken = take(store)
    assert code(lambda: take(store, holder="bert")) == "no_item"
    assert code(lambda: take(store, holder="bert", item=taken["item"])) == "item_leased"
    age(store, LEASE + 1)
    assert code(lambda: decide(store, taken["item"], 1)) == "lost_lease"
    theirs = take(store, holder="bert")
    assert theirs["item"] == taken["item"]
    assert code(lambda: decide(store, taken["item"], 2)) == "lost_lease"
    assert decide(store, theirs["item"], 2, key="bert")["override"] is True


def test_a_lease_is_begun_anew_by_asking_for_it_again_and_ended_by_giving_it_back(store):
    waits(store, "a")
    taken = take(store)
    age(store, LEASE // 2)
    again = take(store, item=taken["item"])
    assert (again["version"], again["lease_until"] > taken["lease_until"]) == (1, True)
    assert code(lambda: store.write(lambda one: give_back(one, holder="bert", item=taken["item"]))) == "lost_lease"
    store.write(lambda one: give_back(one, holder="anna", item=taken["item"]))
    assert code(lambda: decide(store, taken["item"], 1)) == "lost_lease"
    assert take(store, holder="bert")["version"] == 2


@pytest.mark.row("R03")
def test_of_two_who_decide_at_the_same_instant_exactly_one_does(quick):
    rounds = 100
    waits(quick, *(f"row {number}" for number in range(64)))
    both = threading.Barrier(2)

    def attempt(holder: str, item: str) -> str:
        both.wait(20)
        try:
            version = take(quick, holder=holder, item=item)["version"]
            decide(quick, item, version, key=holder)
        except Refusal as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(2) as pool:
        for number in range(rounds):
            if number % 64 == 0:
                waits(quick, *(f"round {number} {place}" for place in range(64)))
            item = take(quick)["item"]
            quick.write(lambda one, item=item: give_back(one, holder="anna", item=item))
            found = sorted(pool.map(attempt, ("bert", "carl"), (item, item)))
            assert found.count("done") == 1, found
            assert found[0 if found[1] == "done" else 1] in ("item_leased", "item_decided")


@pytest.mark.row("R04")
@pytest.mark.parametrize("labels", [{"mood": "sad"}, {"other": "x"}, {"mood": None}, {"tags": "a"}])
def test_a_decision_that_cannot_be_is_refused_and_the_item_stays_leased(quick, labels):
    waits(quick, "a")
    taken = take(quick)
    assert code(lambda: decide(quick, taken["item"], 1, labels)) in ("wrong_label", "unknown_field")
    assert decide(quick, taken["item"], 1)["override"] is True


@pytest.mark.row("R05")
def test_with_four_eyes_nobody_decides_what_he_asked(quick):
    (mine,) = waits(quick, "a", key="anna")
    with quick.reading() as connection:
        (item,) = [one["item"] for one in list_items(connection, now=0) if one["prediction_id"] == mine]
    assert code(lambda: take(quick, four_eyes=True)) == "no_item"
    assert code(lambda: take(quick, item=item, four_eyes=True)) == "own_answer"
    taken = take(quick)  # without the rule
    assert code(lambda: decide(quick, item, taken["version"], four_eyes=True)) == "own_answer"
    quick.write(lambda one: give_back(one, holder="anna", item=item))
    assert take(quick, holder="bert", four_eyes=True)["item"] == item


@pytest.mark.row("R08")
def test_what_is_erased_while_it_is_leased_is_gone(store, state):
    (identity,) = waits(store, "a")
    taken = take(store)
    for _ in range(2):
        erase(store, identity, actor="command")
    assert code(lambda: decide(store, taken["item"], 1)) == "unknown_item"
    assert code(lambda: take(store)) == "no_item"
    waits(store, "b")
    purge(store, days=1e-9, actor="command")
    assert code(lambda: take(store)) == "no_item"
    assert state.rows("SELECT id FROM reviews") == []


def test_beyond_many_answers_say_that_reviews_are_late_and_none_is_dropped(quick, monkeypatch):
    from underlay.serve.state import predictions

    monkeypatch.setattr(predictions, "MANY", 3)
    from dataclasses import replace

    one = replace(answered([{"text": "a", "size": 1}] * 2), rules=ReviewRules(below=0.9))
    told = [quick.write(lambda transaction: one.write(transaction, told={}, once=None)) for _ in range(3)]
    assert ["review_delayed" in one for one in told] == [False, True, True]
    assert len([take(quick, holder=f"h{number}") for number in range(6)]) == 6


def test_a_state_of_the_release_before_is_brought_here_with_its_rows(state):
    """Its tables are those of the first step; what they hold stays."""
    from alembic import command
    from tests.serve.state.answers import keep

    from underlay.serve.state import migrating
    from underlay.serve.state.connecting import WRITES, engine_of
    from underlay.serve.state.place import make_file, make_folder

    if state.place.folder is not None:
        make_folder(state.place.folder)
        make_file(state.place.file)
    engine = engine_of(state.place)
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        config = migrating._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "r0001")
    engine.dispose()
    state.change("INSERT INTO bundles VALUES ('s', 'm', '{}', '[]')")
    with pytest.raises(UsageError, match="the state is at r0001"):
        verify_state(state.place)
    with Store(state.place, serves=True) as store:
        declare(store)
        keep(store, "a row")
        store.write(lambda one: put(one, "x-0", "sampled"))
    assert [row.seal for row in state.rows("SELECT seal FROM bundles ORDER BY seal")] == ["f" * 64, "s"]
    assert len(state.rows("SELECT id FROM reviews")) == 1


def post(server, path, body, key, **headers):
    return httpx.post(server.url + path, json=body, headers={"authorization": f"Bearer {key}", **headers}, timeout=60)


@pytest.mark.row("A16")
def test_over_http_from_the_answer_to_the_training_file(text_bundle, tmp_path, underlay):
    folder = tmp_path / "state"
    options = ("--state", str(folder), "--review-below", "1", "--four-eyes")
    with serving(text_bundle, tmp_path, *options) as server:
        key, _ = create(server.keys, name="anna", scopes=["review"])
        leaver, record = create(server.keys, name="left", scopes=["review"])
        told = server.post("/predict", {"rows": [{"text": "a"}, {"text": "b"}]}).json()
        assert told["review_ids"] == told["prediction_ids"]
        infer = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["c"]}]}
        assert len(server.post(f"/v2/models/{server.name}/infer", infer).json()["parameters"]["review_ids"]) == 1
        assert server.get("/review").status_code == 403
        listed = httpx.get(f"{server.url}/review", headers={"authorization": f"Bearer {key}"}, timeout=60).json()[
            "items"
        ]
        assert [one["prediction_id"] for one in listed][:2] == told["prediction_ids"]
        assert not any({"input", "answer"} & one.keys() for one in listed)
        lost = post(server, "/review/lease", {}, leaver).json()
        revoke(server.keys, record.id)
        import time

        time.sleep(1)
        body = {"item": lost["item"], "version": lost["version"], "labels": {"label": "red"}}
        assert post(server, "/review/decide", body, leaver).status_code == 401
        assert post(server, "/review/decide", body, key).json()["error"]["code"] == "lost_lease"
        State("", place_of(str(folder)), ()).change(f"UPDATE reviews SET lease_until = lease_until - {LEASE}")
        item = post(server, "/review/lease", {}, key).json()
        assert (item["item"], item["version"], item["input"]) == (lost["item"], 2, {"text": "a"})
        body |= {"version": 2}
        done = post(server, "/review/decide", body, key, **{"idempotency-key": "d1"})
        assert done.status_code == 200, done.text
        assert post(server, "/review/decide", body, key, **{"idempotency-key": "d1"}).content == done.content
        again = post(server, "/review/decide", body, key)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "item_decided")
        second = post(server, "/review/lease", {}, key).json()
        assert post(server, "/review/release", {"item": second["item"]}, key).json()["state"] == "new"
        for path, wrong, field in (
            ("/review/lease", {"item": 3}, "/item"), ("/review/lease", [], ""), ("/review/release", {}, "/item"),
            ("/review/decide", {"item": "x", "version": True, "labels": {}}, "/version"),
            ("/review/decide", {"item": "x", "version": 1, "labels": {}, "why": 1}, ""),
        ):  # fmt: skip
            found = post(server, path, wrong, key)
            assert (found.status_code, found.json()["error"]["field"]) == (422, field), (path, wrong)
        paths = server.get("/openapi.json").json()["paths"]
        assert {"/review", "/review/lease", "/review/decide", "/review/release"} <= paths.keys()
        shown = json.loads(underlay("review", "list", str(folder), "--decided", "--json").stdout)["items"]
        assert [(one["item"], one["state"]) for one in shown] == [(lost["item"], "decided")]
        assert len(json.loads(underlay("review", "list", str(folder), "--json").stdout)["items"]) == 2
        exported = underlay("feedback", "export", str(folder), "--out", str(tmp_path / "more.csv"))
        assert exported.returncode == 0, exported.stderr
        assert (tmp_path / "more.csv").read_text(encoding="utf-8") == "text,label,moods,price\na,red,,\n"
        assert server.stop() == 0


def test_reviews_without_a_state_make_no_sense(text_bundle, underlay):
    done = underlay("serve", str(text_bundle), "--open", "--port", "0", "--admin-port", "0", "--review-below", "0.5")
    assert (done.returncode, done.stderr.split(":")[1]) == (2, " review"), done.stderr
