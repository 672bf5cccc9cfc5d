"""`events.v1`: what a cell may hold, what is learned, what a model sees."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import BundleRefused, DataError, DenseModality, FollowedModality, RecipeError, RowError
from underlay.modalities import Events
from underlay.modalities.events import gap_codes
from underlay.modalities.events_attributes import Attribute
from underlay.modalities.events_cell import Happening, item_name, read_events, read_time
from underlay.modalities.events_fit import FIRST, MASK, NOTHING, UNKNOWN

ROWS = [["tea", "milk"], ["milk", "tea", "bread"], ["bread"], ["tea"], []]


def fitted(rows=ROWS, limit=None, **options):
    return Events.create(assets={}, limit=limit, options=options).fit(rows, np.random.default_rng(0))


def told(names, step=60.0, **attributes):
    return [{"item": name, "time": step * at, "attributes": attributes} for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        (["a", "b"], ["a", "b"]),
        (("a", 3, 4.0), ["a", "3", "4"]),
        (np.array([7, 8]), ["7", "8"]),
        ("a b  c", ["a", "b", "c"]),
        ("green tea|milk, whole", ["green tea", "milk, whole"]),
        ('["a b", 2]', ["a b", "2"]),
        ('[{"item": "a", "time": 1}, {"item": 5}]', ["a", "5"]),
        ("soap", ["soap"]),
        ([], []),
        ("[]", []),
        ([{"hidden": True}, "a"], [None, "a"]),
    ],
)
def test_a_cell_may_be_written_in_any_of_these_ways(cell, names):
    assert [one.item for one in read_events(cell)] == names


@pytest.mark.parametrize(
    ("cell", "code", "said"),
    [
        (None, "no_events", "missing"),
        (float("nan"), "no_events", "missing"),
        ("nan", "no_events", "missing"),
        ("", "empty_events", "[]"),
        (" \t ", "empty_events", "[]"),
        (5, "not_events", "5 (int)"),
        (True, "not_events", "True (bool)"),
        (b"a b", "not_events", "bytes"),
        ({"a": 1}, "not_events", "dict"),
        ('{"item": "a"}', "not_events", "dict"),
        ({"a", "b"}, "not_events", "set"),
        (np.zeros((2, 2)), "not_events", "ndarray"),
        ("a,b,c", "separator", "|"),
        ("tea; milk", "separator", "|"),
        ("['a', 'b']", "not_json", "double quotes"),
        ("[1, 2", "not_json", "[1, 2"),
        ("[" * 100_000 + "]" * 100_000, "not_events", "deep"),
        (["a", None], "no_item", "event 2"),
        (["a", float("nan")], "no_item", "event 2"),
        (["a", "  "], "no_item", "event 2"),
        ("a||b", "no_item", "event 2"),
        ([["a"], ["b"]], "not_item", "event 1"),
        ([0.5], "not_item", "0.5"),
        ([True], "not_item", "True"),
        (["x" * 501], "long_item", "501"),
        ([{"time": 3}], "no_item", "event 1"),
        ([{"item": "a", "cost": 3}], "event_key", "'cost'"),
        ([{"item": "a", "time": "soon"}], "event_time", "'soon'"),
        ([{"item": "a", "time": float("inf")}], "event_time", "inf"),
        ([{"item": "a", "attributes": [1]}], "event_attributes", "[1]"),
        ([{"item": "a", "attributes": {"n": [1]}}], "event_attributes", "'n'"),
        ([{"item": "a", "time": 2}, {"item": "b", "time": 1}], "unordered", "event 2"),
        ([{"hidden": False}], "event_key", "'hidden'"),
    ],
)
def test_a_cell_that_cannot_be_read_says_why(cell, code, said):
    with pytest.raises(RowError) as refused:
        read_events(cell)
    assert refused.value.code == code
    assert said in str(refused.value)
    assert refused.value.do


@pytest.mark.parametrize("cell", ["", "  ", None, float("nan"), "[]", []])
def test_where_an_empty_history_cannot_be_read_none_is_suggested(cell):
    with pytest.raises(RowError) as refused:
        fitted(empty="refuse").encode(cell)
    assert "[]" not in str(refused.value)
    assert refused.value.do


def test_more_events_than_a_cell_may_hold_are_refused():
    with pytest.raises(RowError, match="1,000,001 events"):
        read_events(["a"] * 1_000_001)


@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda name: name.strip()), max_size=30))
def test_a_list_of_names_is_read_as_itself_however_it_is_written(names):
    bare = [name.strip() for name in names]
    assert [one.item for one in read_events(names)] == bare
    assert [one.item for one in read_events(json.dumps(names))] == bare
    again = [one.plain() for one in read_events(names)]
    assert [one.item for one in read_events(again)] == bare


@given(st.integers(), st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_is_a_name_where_it_is_whole(whole, number):
    assert item_name(whole) == str(whole)
    name = item_name(number)
    assert (name is None) == (not (np.isfinite(number) and number == int(number)))


def test_times_are_numbers_or_dates_and_dates_without_a_zone_are_utc():
    assert read_time("1970-01-01T00:01:00") == read_time("1970-01-01T01:01:00+01:00") == 60.0
    assert read_time("12.5") == 12.5
    assert read_time("1_000") is read_time(True) is read_time([1]) is read_time(float("inf")) is None


def test_the_vocabulary_is_what_enough_rows_hold_in_the_order_of_labels():
    assert fitted().items == ("bread", "milk", "tea")
    assert fitted(min_count=3).items == ("tea",)
    assert fitted(most_items=2).items == ("bread", "tea")  # of bread and milk, equally frequent, the first by name
    assert fitted([["10", "9"], ["9"]]).items == ("9", "10")
    with pytest.raises(DataError, match="the most frequent one in 3"):
        fitted(min_count=4)
    with pytest.raises(DataError, match="--events COLUMN"):
        fitted([None, [], "[]"])


def test_ids_tell_known_unknown_hidden_and_nothing_apart():
    events = fitted()
    ids = events.encode(["milk", "coffee", {"hidden": True}])["items"].tolist()
    assert ids == [FIRST + 1, UNKNOWN, MASK]
    assert events.encode([])["items"].tolist() == [NOTHING]
    with pytest.raises(RowError, match="nothing has happened"):
        fitted(ROWS[:-1], empty="refuse").encode([])


def test_the_newest_events_are_kept_and_positions_say_which_they_are():
    events = fitted([list("abcdefgh")], max_length=3)
    encoded = events.encode(list("abcdefgh"))
    assert [events.items[at - FIRST] for at in encoded["items"]] == list("fgh")
    assert events.units(encoded).tolist() == [5, 6, 7]
    assert events.count(encoded) == 8
    first = fitted([list("abcdefgh")], max_length=3, long="head").encode(list("abcdefgh"))
    assert first["events"].tolist() == [0, 1, 2]


def test_with_a_cloze_a_hidden_event_stands_at_the_end_and_each_position_answers_for_itself():
    events = fitted([list("abcdefgh")], cloze=True)
    encoded = events.encode(list("abc"))
    assert encoded["items"].tolist() == [FIRST, FIRST + 1, FIRST + 2, MASK]
    assert events.units(encoded).tolist() == [-1, 0, 1, 2], "what follows event 2 stands at the hidden one"
    assert events.count(encoded) == 3
    assert events.hidden == {"items": MASK, "gaps": 0, "attributes": 0}
    assert fitted().hidden is None
    short = fitted([list("abcdefgh")], cloze=True, max_length=3).encode(list("abcdefgh"))
    assert short["items"].tolist() == [FIRST + 6, FIRST + 7, MASK]
    assert short["events"].tolist() == [5, 6, 7]
    assert fitted([list("abcdefgh")], cloze=True).max_length == 16, "eight events and the hidden one, in eights"
    in_time = fitted([told("abc", price=2.0)] * 3, cloze=True).encode(told("abc", price=2.0))
    assert in_time["gaps"][-1] == 0
    assert not in_time["attributes"][-1].any()
    assert fitted(cloze=True).encode([])["items"].tolist() == [NOTHING]


def test_windows_hold_every_event_once_and_the_last_one_is_full():
    events = fitted([list("abcdefgh")], max_length=3, long="windows")
    encoded = events.encode(list("abcdefgh"))
    assert encoded["events"].tolist() == list(range(8))
    assert encoded["mask"].tolist() == [1, 1, 2, 2, 2, 3, 3, 3]
    few = fitted([list("abcdefgh")], max_length=3, long="windows", windows=2).encode(list("abcdefgh"))
    assert few["events"].tolist() == [2, 3, 4, 5, 6, 7]
    assert few["mask"].tolist() == [1, 1, 1, 2, 2, 2]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.sampled_from(["recent", "head", "windows"]), st.integers(1, 4))
def test_every_row_fits_and_units_never_run_backwards(count, length, long, windows):
    events = fitted([["a", "b"]], max_length=length, long=long, windows=windows)
    encoded = events.encode(["a"] * count)
    units = events.units(encoded)
    assert (np.diff(units) == 1).all()
    assert units.min() >= 0
    assert units.max() < count
    assert (long == "head") or units[-1] == count - 1
    sizes = np.bincount(encoded["mask"])[1:]
    assert sizes.max() <= length
    assert len(sizes) <= (windows if long == "windows" else 1)
    assert events.length(encoded) == len(units)


def test_gaps_double_with_each_code():
    times = [0.0, 0.0, 1.0, 4.0, 4.0 + 2.0**50]
    assert gap_codes([Happening("a", time) for time in times]).tolist() == [0, 1, 2, 3, 41]
    assert gap_codes([Happening("a"), Happening("a", 1.0), Happening("a", 2.0)]).tolist() == [0, 0, 2]


def test_times_are_read_where_most_rows_have_them_and_can_be_left_out():
    timed = [told("ab"), told("ba"), ["a"]]
    assert "gaps" in fitted(timed).encode(told("ab"))
    assert fitted(timed).describe()["gaps"] > 0
    assert fitted(timed).encode(["a", "b"])["gaps"].tolist() == [0, 0]  # a row without times can still be read
    assert "gaps" not in fitted(timed, times=False).encode(told("ab"))
    assert "gaps" not in fitted().encode(["tea"])
    assert "gaps" in fitted(times=True).encode(["tea"])


def test_attributes_become_codes_of_categories_or_of_bins():
    rows = [told("abc", price=float(at), shop="north" if at % 2 else "south") for at in range(40)]
    events = fitted(rows)
    assert events.facts()["attributes"] == ["price", "shop"]
    low, high, odd = (
        events.encode([{"item": "a", "attributes": attributes}])["attributes"][0].tolist()
        for attributes in ({"price": -5, "shop": "north"}, {"price": 99, "shop": "south"}, {"price": "dear"})
    )
    assert low[0] == 2
    assert high[0] == events.describe()["attributes"][0] - 1
    assert low[1] != high[1]
    assert odd == [1, 0]
    assert "attributes" not in fitted(rows, attributes=False).encode(["a"])


def test_few_numbers_are_categories_and_an_attribute_of_few_events_is_left_out():
    rows = [[{"item": "a", "attributes": {"stars": at % 5}}, {"item": "b"}, {"item": "c"}] for at in range(20)]
    assert fitted(rows).describe()["attributes"] == []
    assert fitted(rows, attributes=True).describe()["attributes"] == [7]
    assert Attribute("stars", categories=("3",)).code(3.0) == Attribute("stars", categories=("3",)).code("3") == 2


def test_repeats_are_told_from_the_rows_and_bar_what_happened():
    plain = [["a", "b", "c"], ["c", "a"]]
    again = [["a", "a", "a"], ["c", "a"]]
    assert fitted(plain).barred(["b", "c", "b"]) == ["b", "c"]
    assert fitted(again).barred(["b", "c"]) == []
    assert fitted(again, repeats=False).barred(["b"]) == ["b"]


def test_it_can_stand_under_targets_of_units_and_of_what_follows():
    events = fitted()
    assert isinstance(events, DenseModality)
    assert isinstance(events, FollowedModality)
    assert events.unfolded("tea|milk") == ["tea", "milk"]
    assert events.named([{"hidden": True}, "tea"]) == [None, "tea"]
    assert events.first == FIRST


def test_augmenting_crops_hides_or_reorders_and_invents_nothing():
    events, row = fitted([list("abcdefghij")]), list("abcdefghij")
    shapes = set()
    for seed in range(200):
        found = events.augment(row, np.random.default_rng(seed))
        names = [one for one in found if isinstance(one, str)]
        assert set(names) <= set(row)
        assert len(names) == len(set(names))
        hidden = len(found) - len(names)
        shapes.add("cut" if len(found) < 10 else "hidden" if hidden else "moved" if names != row else "same")
        if len(found) < 10:
            assert "".join(names) in "abcdefghij"
    assert shapes >= {"cut", "hidden", "moved"}


def test_other_orders_of_events_keep_their_clock():
    events, row = fitted([told("abcdef")]), told("abcdef")
    for seed in range(30):
        for changed in (
            events.augment(row, np.random.default_rng(seed)),
            events.corrupt(row, "swap", 5, np.random.default_rng(seed)),
        ):
            events.encode(changed)  # times that ran backwards would be refused


def test_damage_that_grows_changes_more_events():
    events, row = fitted([list("abcdefghij") * 20]), list("abcdefghij") * 20
    for kind in ("noise", "unknown", "drop"):
        changed = []
        for severity in (1, 3, 5):
            found = events.corrupt(row, kind, severity, np.random.default_rng(0))
            changed.append(200 - len(found) if kind == "drop" else sum(a != b for a, b in zip(found, row, strict=True)))
        assert changed[0] < changed[1] < changed[2], kind


def test_the_bag_counts_items_and_forgets_their_order():
    events = fitted()
    bag = events.classical().fit_transform([["tea", "milk"], ["milk", "tea"], ["tea", "tea", "milk"], None]).toarray()
    np.testing.assert_allclose(bag[0], bag[1])
    assert abs(bag[0] - bag[2]).max() > 0.05
    np.testing.assert_allclose(np.linalg.norm(bag[:3], axis=1), 1.0)
    assert (bag[3] == 0).all()


def test_fingerprints_of_overlapping_rows_overlap_and_order_counts():
    events = fitted()
    one, other = events.fingerprint(list("abcdefghij")), events.fingerprint(list("abcdefghik"))
    shared = len(np.intersect1d(one, other)) / len(np.union1d(one, other))
    assert 0.5 < shared < 1
    assert not np.array_equal(events.fingerprint(["a", "b"]), events.fingerprint(["b", "a"]))


def test_a_sketch_counts_lengths_and_unknown_items():
    sketch = fitted().sketch([["tea", "coffee"], ["milk"], None])
    assert sketch["rows"] == 2
    edges, counts = (sketch["histograms"]["unknown"][name] for name in ("edges", "counts"))
    assert {edge: count for edge, count in zip(edges, counts, strict=True) if count} == {0.0: 1, 0.4: 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_count": 0}, "min_count"),
        ({"max_length": 0}, "max_length"),
        ({"max_length": True}, "max_length"),
        ({"long": "middle"}, "long"),
        ({"times": "maybe"}, "times"),
        ({"repeats": 1}, "repeats"),
        ({"empty": "drop"}, "empty"),
        ({"cloze": "yes"}, "cloze"),
        ({"augment": {"crop": 1.0}}, "augment.crop"),
        ({"augment": {"mask": "much"}}, "augment.mask"),
        ({"augment": {"shuffle": 0.1}}, "shuffle"),
        ({"augment": [0.1]}, "mapping"),
        ({"most_item": 3}, "most_items"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options, said):
    with pytest.raises(RecipeError, match=said):
        Events.create(assets={}, limit=None, options=options)


def changed(content, path, value):
    found = json.loads(content)
    *way, last = path
    inner = found
    for key in way:
        inner = inner[key]
    inner[last] = value
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("learned", "items"), []),
        (("learned", "items"), ["milk", "bread", "tea"]),
        (("learned", "items"), ["bread", "milk", 3]),
        (("learned", "popular"), [3]),
        (("learned", "popular"), []),
        (("learned", "max_length"), 0),
        (("learned", "max_length"), 1 << 40),
        (("learned", "times"), 1),
        (("learned", "gap"), float("inf")),
        (("learned", "gap"), "long"),
        (("learned", "lengths"), [1, 2]),
        (("learned", "attributes"), [{"name": "a", "categories": ["x"], "edges": [1.0]}]),
        (("learned", "attributes"), [{"name": "a"}]),
        (("learned", "facts"), []),
        (("options", "long"), "middle"),
        (("limit",), -1),
    ],
)
def test_a_state_that_fitting_could_not_have_left_is_refused(path, value):
    content = fitted().state()["events.json"]
    with pytest.raises(BundleRefused):
        Events.from_state({"events.json": changed(content, path, value)})


def test_names_of_any_script_and_broken_ones_come_back_from_the_state():
    rows = [["茶", "чай", "\ud800", "☕ \u202e"]]
    events = fitted(rows)
    assert Events.from_state(events.state()).items == events.items
