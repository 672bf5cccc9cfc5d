"""Cells of a table: what they are taken for, how numbers lie, what is rare, unseen or far out."""

import math
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from underlay.core import BundleRefused, DataError, RecipeError, RowError, UnknownName, UsageError
from underlay.modalities import Cells
from underlay.modalities.table_fit import KNOTS, Scale

numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


def fitted(values, **options) -> Cells:
    return Cells.create(assets={}, limit=None, options=options).fit(values, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, None], "number"),
        (["1", " 2.5 ", "1e3", ""], "number"),
        ([True, False], "number"),
        (["True", "false", "NA"], "number"),
        (["2024-01-31", "2023-12-01"], "date"),
        (["2024-01-31 12:00", "2023-12-01T08:30:00Z"], "date"),
        ([date(2024, 1, 31), datetime(2024, 2, 1, 12, tzinfo=UTC)], "date"),
        ([np.datetime64("2024-01-31")], "date"),
        (["red", "blue", "red"], "category"),
        (["1", "2", "B", "B"], "category"),
        (["1,5", "2,5"], "category"),
    ],
)
def test_what_a_column_holds_is_decided_by_its_training_cells(values, kind):
    assert fitted(values).facts()["kind"] == kind


def test_a_recipe_can_say_what_a_column_holds():
    assert fitted(["1", "2", "1", "2"], kind="category").facts()["kind"] == "category"
    with pytest.raises(RecipeError, match=r"table\.kind is 'word'"):
        fitted(["1"], kind="word")
    with pytest.raises(RecipeError, match="did you mean 'bins'"):
        fitted(["1"], bin=3)
    with pytest.raises(DataError, match="no row holds a number"):
        fitted(["red", "blue"], kind="number")


@pytest.mark.row("X01")
@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "NA", "<NA>", "null", np.float32("nan"), "NaT"])
@pytest.mark.parametrize("train", [[1, 2, 3], ["red", "blue", "red", "blue"], ["2024-01-01"]])
def test_a_missing_cell_is_a_value(train, value):
    row = fitted(train).encode(value)
    assert {name: array.tolist() for name, array in row.items()} == {"number": [0.0], "category": [0], "observed": [0]}


def test_scores_are_normal_whatever_the_unit_the_skew_or_an_outlier():
    drawn = np.random.default_rng(1).lognormal(3, 2, 20_000)
    cells = fitted([*drawn.tolist(), 1e300])
    scores = np.array([cells.encode(value)["number"][0] for value in drawn[:4_000]])
    expected = norm.ppf((np.argsort(np.argsort(drawn)) + 0.5) / len(drawn))[:4_000]
    np.testing.assert_allclose(scores, expected.clip(-3.09, 3.09), atol=0.05)
    assert abs(scores.mean()) < 0.05
    assert abs(scores.std() - 1) < 0.05


@given(st.lists(numbers, min_size=1, max_size=60), numbers, numbers)
def test_a_scale_rises_and_stays_within_its_ends(sample, low, high):
    scale = Scale.of(sample)
    low, high = sorted((low, high))
    scores = scale([low, high, -math.inf, math.inf])
    assert scores[0] <= scores[1]
    assert scores[2] == scale.scores[0]
    assert scores[3] == scale.scores[-1]
    assert abs(scores).max() < 3.2
    assert len(scale.knots) <= KNOTS
    edges = scale.edges(16)
    assert 2 <= len(edges) <= 17
    assert all(left < right for left, right in pairwise(edges))


def test_equal_numbers_have_the_score_of_their_middle_rank():
    scale = Scale.of([0.0] * 50 + [1.0] * 50)
    np.testing.assert_allclose(scale([0.0, 1.0]), norm.ppf([0.25, 0.75]))
    assert scale.number(0.5) == pytest.approx(0.5)
    assert scale.spread == pytest.approx(1.0)


def test_far_numbers_are_clipped_and_noticed():
    cells = fitted([1.0, 2.0, 3.0, 4.0])
    assert cells.encode(1e9)["number"] == cells.encode(4.0)["number"]
    assert cells.notices(1e9) == cells.notices(-1e9) == ("out_of_range",)
    assert cells.notices(2.5) == ()
    assert cells.notices(None) == ("missing",)
    assert cells.encode(10**400)["number"] == cells.encode(4)["number"]


def test_rare_and_unseen_categories_are_one_and_counted():
    cells = fitted(["red"] * 300 + ["blue"] * 295 + ["rare"] * 4 + ["once"])
    assert cells.facts()["categories"] == 2
    ids = [int(cells.encode(value)["category"][0]) for value in ("red", "blue", "rare", "once", "never", 7)]
    assert ids == [2, 3, 1, 1, 1, 1]
    assert cells.notices("never") == ("unseen_category",)
    assert cells.sketch(["never", "red", "blue", "red", None])["unseen"] == 1
    assert cells.sketch(["never", "red", "blue", "red", None])["shares"]["categories"][:2] == [2, 1]


def test_at_most_so_many_categories_are_known_and_ties_have_one_order():
    values = [f"c{at % 40:02d}" for at in range(400)]
    known = fitted(values, categories=5).learned.categories
    assert len(known) == 5
    assert fitted(values[::-1], categories=40).learned.categories == fitted(values, categories=40).learned.categories


def test_a_column_that_teaches_nothing_says_so():
    assert "no category repeats" in fitted([f"name {at}" for at in range(60)]).facts()["warnings"][0]
    assert "one value only" in fitted([3] * 20).facts()["warnings"][0]
    assert "one value only" in fitted(["x"] * 20).facts()["warnings"][0]
    assert "rare categories" in fitted([*map(str, "abcdefghij"), *"kkkk"], kind="category").facts()["warnings"][0]
    assert fitted([1, 2]).facts()["warnings"] == []
    with pytest.raises(DataError, match="no row holds a number or a category"):
        fitted([None, "", float("nan"), [1]])


def test_a_word_among_numbers_is_a_problem_that_shows_it():
    cells = fitted([*range(100), "?"])
    assert cells.facts()["kind"] == "number"
    assert "1.0 % of its cells are no number" in cells.facts()["warnings"][0]
    with pytest.raises(RowError, match=r"a number is needed; found '\?'") as refused:
        cells.encode("?")
    assert refused.value.code == "not_number"
    with pytest.raises(RowError, match="one scalar value"):
        fitted(["a", "b", "a"]).encode(["a"])


def test_an_unfitted_one_says_what_to_do():
    with pytest.raises(UsageError, match="call fit first"):
        Cells().encode(1)


def test_dates_come_back_as_dates():
    cells = fitted([f"2024-01-{day:02d}" for day in range(1, 32)])
    assert cells.probe(np.random.default_rng(3)).startswith("2024-01-")
    moved = cells.corrupt("2024-01-10", "shift", 5, np.random.default_rng(0))
    assert moved == "2024-01-25"
    assert cells.encode("2024-01-10T00:00:00+00:00")["number"] == cells.encode(date(2024, 1, 10))["number"]
    with pytest.raises(RowError, match="ISO date"):
        cells.encode("10.1.2024")


def test_whole_numbers_stay_whole_in_probes_and_substitutes():
    cells = fitted(list(range(100)))
    assert all(isinstance(other, int) for other in cells.substitutes(3, cells.parts(3)[0]))
    probes = [cells.probe(np.random.default_rng(seed)) for seed in range(40)]
    assert all(probe is None or (isinstance(probe, int) and 0 <= probe < 100) for probe in probes)


def test_damage_grows_with_its_severity():
    cells = fitted(np.random.default_rng(0).normal(size=500).tolist())
    rng = np.random.default_rng

    def far(severity):
        return np.mean([abs(cells.corrupt(0.0, "noise", severity, rng(seed))) for seed in range(50)])

    assert far(1) < far(3) < far(5)
    gone = [sum(cells.corrupt(0.0, "missing", level, rng(seed)) is None for seed in range(200)) for level in (1, 3, 5)]
    assert gone[0] < gone[1] < gone[2] == 200
    with pytest.raises(UnknownName, match="table damage"):
        cells.corrupt(0.0, "noyse", 1, rng(0))


def test_classical_features_flag_what_is_missing():
    seen = fitted([1.0, 2.0, None]).classical().fit_transform([1.0, None, "broken"])
    assert seen[:, 1].tolist() == [0, 1, 1]
    hot = fitted(["a", "b", "a", "b"]).classical().fit_transform(["a", "new", None])
    assert hot.argmax(1).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    "change",
    [
        ('"kind": "number"', '"kind": "word"'),
        ('"knots": [\n    1.0,\n    2.0', '"knots": [\n    2.0,\n    1.0'),
        ('"missing": 0.0', '"missing": 2.0'),
        ('"rows": 2', '"rows": 2, "extra": 1'),
        ('"rows": 2', '"rows": "2"'),
        ('"bins": 16', '"bins": 0'),
    ],
)
def test_a_state_that_was_changed_is_refused(change):
    state = fitted([1.0, 2.0]).state()["table.json"].decode()
    assert change[0] in state
    with pytest.raises(BundleRefused):
        Cells.from_state({"table.json": state.replace(*change).encode()})
