"""Labels that people gave become a file that `fit` reads; who gave them is known if it is wanted."""

import csv
import json

import pytest
from tests.serve.state.answers import MOOD, PRICE, TAGS, declare, keep

from underlay.core import DataError, Schema, UsageError
from underlay.core.schema import Column
from underlay.serve.state import Store, export_feedback, purge, verify_state
from underlay.serve.state.feedback import Said


def say(store, prediction, target, label, key="k7"):
    return store.write(lambda one: Said(prediction, target, label, key).write(one, once=None))


def labelled(place):
    """A state of three answers, of which two are labelled; their ids."""
    with Store(place, serves=True) as store:
        declare(store)
        ids = keep(store, 'call 13800138000, "now"', "=1+1", "没有标签")
        say(store, ids[0], "mood", "loud")
        say(store, ids[0], "mood", "calm", key="k8")  # a correction
        say(store, ids[0], "tags", ["c", "a"])
        say(store, ids[0], "price", 3)
        say(store, ids[1], "tags", [])
    return ids


def test_a_csv_file_has_a_row_for_each_labelled_answer_with_the_newest_labels(state, tmp_path):
    labelled(state.place)
    out = tmp_path / "more.csv"
    with Store(state.place) as store:
        done = export_feedback(store, out)
    assert (done.rows, done.left_out, dict(done.labels)) == (2, 0, {"mood": 1, "tags": 2, "price": 1})
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"text": 'call [PHONE_1], "now"', "size": "1.5", "mood": "calm", "tags": "a|c", "price": "3.0"},
        {"text": "=1+1", "size": "1.5", "mood": "", "tags": "[]", "price": ""},
    ]
    found = verify_state(state.place)
    assert (found.rows, found.entries) == (8, 7)


def test_it_is_read_as_a_table_of_the_same_targets(sqlite_state, tmp_path):
    from underlay.data import open_table
    from underlay.data.tasks import infer_target

    labelled(sqlite_state.place)
    for name in ("more.csv", "more.jsonl"):
        with Store(sqlite_state.place) as store:
            export_feedback(store, tmp_path / name)
        table = open_table(str(tmp_path / name))
        assert infer_target(table, "tags", task="multilabel").labels == ("a", "c")
        assert infer_target(table, "price", task="regression").task == "regression"


def test_who_and_when_come_if_they_are_wanted(sqlite_state, tmp_path):
    ids = labelled(sqlite_state.place)
    out = tmp_path / "more.jsonl"
    with Store(sqlite_state.place) as store:
        export_feedback(store, out, source=True)
    first, second = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    assert (first["prediction_id"], second["prediction_id"]) == (ids[0], ids[1])
    assert (first["tags"], second["tags"], first["labelled_by"]) == (["a", "c"], [], "k7")
    assert first["labelled_at"].endswith("Z")


def test_rows_of_which_a_digest_was_kept_are_left_out_and_counted(sqlite_state, tmp_path, underlay):
    labelled(sqlite_state.place)
    with Store(sqlite_state.place, serves=True) as store:
        (bare,) = keep(store, "secret", inputs=False)
        say(store, bare, "mood", "loud")
    done = underlay("feedback", "export", sqlite_state.given, "--out", str(tmp_path / "more.csv"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'more.csv'}: 2 rows; labels: mood 1, tags 2, price 1")
    assert "1 labelled rows are left out" in done.stderr


def test_of_several_models_one_is_named(sqlite_state, tmp_path):
    labelled(sqlite_state.place)
    with Store(sqlite_state.place, serves=True) as store:
        schema = Schema((Column("title", "text"),), (MOOD,))
        declare(store, seal="e" * 64, schema=schema, model="other")
        one = keep(store, "a title", model="other")[0]
        say(store, one, "mood", "calm")
        for name in (None, "nobody"):
            with pytest.raises(UsageError, match="other, shop"):
                export_feedback(store, tmp_path / "more.csv", model=name)
        assert export_feedback(store, tmp_path / "more.csv", model="shop").rows == 2


def test_lists_need_a_file_that_has_them_and_nothing_is_written_where_there_is_nothing(sqlite_state, tmp_path):
    with Store(sqlite_state.place, serves=True) as store:
        declare(store)
        with pytest.raises(DataError, match="nobody gave a label"):
            export_feedback(store, tmp_path / "more.csv")
        with pytest.raises(UsageError, match=r"neither \.csv nor \.jsonl"):
            export_feedback(store, tmp_path / "more.xlsx")
    assert list(tmp_path.glob("more.*")) == []


def test_what_is_erased_is_in_no_export(sqlite_state, tmp_path, underlay):
    ids = labelled(sqlite_state.place)
    done = underlay("state", "erase", sqlite_state.given, ids[0], "--json")
    assert json.loads(done.stdout) == {"predictions": 1, "feedback": 4, "answers": 0}, done.stderr
    with Store(sqlite_state.place) as store:
        assert export_feedback(store, tmp_path / "more.csv").rows == 1
    found = verify_state(sqlite_state.place)
    assert (found.rows, found.gone) == (3, 5)


def test_an_answer_with_a_label_lives_longer_than_one_without(sqlite_state, underlay):
    ids = labelled(sqlite_state.place)
    sqlite_state.change("UPDATE predictions SET time = time - 86400000000 * 40")  # as if it was forty days ago
    done = underlay("state", "purge", sqlite_state.given, "--older-than", "30d", "--json")
    assert json.loads(done.stdout)["predictions"] == 1, done.stderr
    assert [row.id for row in sqlite_state.rows("SELECT id FROM predictions ORDER BY place")] == ids[:2]
    with Store(sqlite_state.place) as store:
        assert purge(store, labelled_days=1e-9, actor="command").predictions == 2
        for wrong in (0.0, -1.0, float("nan")):
            with pytest.raises(UsageError, match="no time to keep anything"):
                purge(store, days=wrong, actor="command")
    refused = underlay("state", "purge", sqlite_state.given, "--older-than", "soon")
    assert (refused.returncode, refused.stderr.split(":")[1]) == (2, " days"), refused.stderr


def test_a_server_removes_what_has_lived_its_time_by_itself(sqlite_state):
    from underlay.serve.state.erasing import EVERY_SECONDS, Retention

    now = [0.0]
    chores = Retention(1e-9, 1e-9, clock=lambda: now[0])
    labelled(sqlite_state.place)
    with Store(sqlite_state.place, serves=True) as store:
        for expected in (0, 1):
            chores(store)
            store.write(lambda transaction: None)
            store.write(lambda transaction: None)
            with store.reading() as connection:
                left = connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar()
            assert left == expected
            keep(store, "one more")
        now[0] = EVERY_SECONDS
        chores(store)
        store.write(lambda transaction: None)
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar() == 0


def test_the_targets_are_those_of_every_task():
    from underlay.core import Target
    from underlay.serve.refusals import Refusal
    from underlay.serve.state.labels import check_label

    tags = Target("tags", "tagging", ("B", "O"))
    assert check_label(["B", "O"], tags, said=["O", "O"], field="/label") == ["B", "O"]
    for wrong in (["B"], "B", ["B", "X"], ["B", None]):
        with pytest.raises(Refusal, match="wrong_label"):
            check_label(wrong, tags, said=["O", "O"], field="/label")
    following = Target("next", "next-item", ("x", "y"))
    assert check_label("y", following, said=["x", "y"], field="/label") == "y"
    assert check_label(3, PRICE, said=1.0, field="/label") == 3.0
    assert check_label(["c", "a"], TAGS, said=[], field="/label") == ["a", "c"]
