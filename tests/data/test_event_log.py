"""Logs of events: one row an event, gathered into one row a user."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import DataError, MissingColumn, UsageError
from underlay.data import EventLog, Table, gather_events, gathered_as, gathered_items, log_of, open_table

LOG = """user,item,at,stars,city
b,tea,5,3,north
a,milk,2,5,south
b,bread,5,4,north
a,tea,1,1,south
"""
HOW = EventLog.read({"id": "user", "time": "at", "item": "item"})


def read(tmp_path, text=LOG):
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    return open_table(tmp_path / "log.csv")


def test_events_of_one_user_stand_in_order_of_time_and_ties_in_that_of_the_file(tmp_path):
    found = gather_events(read(tmp_path), HOW)
    assert found.columns == ("user", "city", "item")
    assert found.values("user") == ["b", "a"]
    assert [[one["item"] for one in row] for row in found.values("item")] == [["tea", "bread"], ["tea", "milk"]]
    assert [[one["time"] for one in row] for row in found.values("item")] == [[5.0, 5.0], [1.0, 2.0]]
    assert "4 events gathered into 2 rows by 'user', in order of 'at'" in found.notes[-2]
    assert "left out: stars" in found.notes[-1]
    assert found.place(1) == "log.csv, line 5"  # of its first event
    assert gathered_items(found) == {"item": "events"}


def test_without_a_time_the_order_of_the_file_counts_and_attributes_stay_with_their_event(tmp_path):
    plain = gather_events(read(tmp_path), EventLog.read({"id": "user", "item": "item"}))
    assert plain.values("item") == [["tea", "bread"], ["milk", "tea"]]
    rich = gather_events(read(tmp_path), EventLog.read({"id": "user", "item": "item", "attributes": "stars"}))
    assert rich.values("item", [1]) == [
        [{"item": "milk", "attributes": {"stars": "5"}}, {"item": "tea", "attributes": {"stars": "1"}}]
    ]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40))
def test_gathering_loses_and_invents_no_event(rows):
    users, times = (list(column) for column in zip(*rows, strict=True))
    table = Table(pa.table({"user": users, "item": list(range(len(rows))), "at": times}))
    found = gather_events(table, HOW)
    for user, events in zip(found.values("user"), found.values("item"), strict=True):
        mine = sorted((time, at) for at, (who, time) in enumerate(rows) if who == user)
        assert [(one["time"], int(one["item"])) for one in events] == mine


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("a,milk,2", ",milk,2", r"line 3: 'user' is empty"),
        ("a,milk,2", "a,,2", r"line 3: the item in 'item' is empty"),
        ("a,milk,2", "a, ,2", r"line 3: the item in 'item' is empty"),
        ("a,milk,2", "a,milk,", r"line 3: the time '' in 'at' is none"),
        ("a,milk,2", "a,milk,soon", r"line 3: 'soon' in column 'at' is no number"),
        ("a,milk,2", "a,milk,inf", r"line 3: the time 'inf' in 'at' is none"),
    ],
)
def test_a_row_that_cannot_be_gathered_is_named(tmp_path, old, new, said):
    with pytest.raises(DataError, match=said):
        gather_events(read(tmp_path, LOG.replace(old, new)), HOW)


def test_dates_are_times_and_items_may_be_whole_numbers():
    table = Table(pa.table({"user": [1, 1], "item": [7.0, 8.0], "at": ["2024-01-02", "2024-01-01"]}))
    assert [one["item"] for one in gather_events(table, HOW).values("item")[0]] == ["8", "7"]
    with pytest.raises(DataError, match="whole number"):
        gather_events(Table(pa.table({"user": [1], "item": [0.5], "at": [1]})), HOW)


def test_columns_that_are_not_there_and_keys_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(MissingColumn, match="'thing'"):
        gather_events(read(tmp_path), EventLog.read({"id": "user", "item": "thing"}))
    with pytest.raises(MissingColumn, match="'price'"):
        gather_events(read(tmp_path), EventLog.read({"id": "user", "item": "item", "attributes": ["price"]}))
    for spec in (
        {},
        {"id": "user"},
        {"item": "item"},
        {"id": "user", "item": "user"},
        {"id": "user", "item": "item", "value": "x"},
        {"id": ["a", "b"], "item": "item"},
        {"id": "user", "item": "item", "attributes": ["item"]},
    ):
        with pytest.raises(UsageError, match=r"data\.events"):
            EventLog.read(spec)


def test_a_table_of_lists_stays_and_a_log_is_gathered_as_the_run_did(tmp_path):
    recipe = {"data": {"events": HOW.plain()}}
    lists = Table(pa.table({"user": ["a"], "item": [["tea"]]}))
    assert gathered_as(lists, recipe) is lists
    assert gathered_as(read(tmp_path), recipe).columns == ("user", "city", "item")
    alone = Table(pa.table({"item": ["tea"]}))
    assert gathered_as(alone, recipe) is alone


def test_a_group_and_a_time_beside_single_items_speak_of_a_log():
    table = Table(pa.table({"user": ["a", "a"], "item": ["tea", "milk"], "at": [1, 2]}))
    assert log_of(table, ["item"], group="user", time="at") == EventLog("user", "item", "at")
    assert log_of(table, ["item"], group="user", time=None) is None
    assert log_of(table, ["item", "at"], group="user", time="at") is None
    sessions = Table(pa.table({"user": ["a", "a"], "item": ["tea|milk", "milk"], "at": [1, 2]}))
    assert log_of(sessions, ["item"], group="user", time="at") is None
    once = Table(pa.table({"user": ["a", "b"], "item": ["tea", "milk"], "at": [1, 2]}))
    assert log_of(once, ["item"], group="user", time="at") is None
