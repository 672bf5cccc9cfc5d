"""Series become arrays: purely, masked where a value is missing, the same in training and in serving."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underlay.core import DataError, RecipeError, RowError, UsageError
from underlay.modalities import Series

rng = np.random.default_rng(0)
WALKS = [np.cumsum(rng.normal(size=30 + 3 * at)).round(3).tolist() for at in range(20)]
PAIRS = [[walk, [2 * one + 5 for one in walk]] for walk in WALKS]


def fitted(values, *, limit=None, **options) -> Series:
    unfitted = Series.create(assets={}, limit=limit, options={"max_length": "auto", "long": "head-tail", **options})
    return unfitted.fit(values, np.random.default_rng(0))


@pytest.fixture(scope="module")
def walks() -> Series:
    return fitted(WALKS)


@pytest.fixture(scope="module")
def pairs() -> Series:
    return fitted(PAIRS)


@pytest.fixture(scope="module", params=[{}, {"kernels": 168}, {"patch": 4}, {"long": "windows", "max_length": 16}])
def each(request) -> Series:
    return fitted(WALKS, **request.param)


def test_a_missing_value_is_masked_and_stands_as_nothing(walks):
    row = walks.encode([1.0, None, 3.0, float("nan"), 5.0])
    assert row["observed"][:, 0].tolist() == [1, 0, 1, 0, 1]
    assert row["values"][[1, 3], 0].tolist() == [0, 0]
    assert row["values"].dtype == row["observed"].dtype == np.float32
    assert row["mask"].tolist() == [1] * 5
    learned = walks.learned
    expected = (np.array([1.0, 3.0, 5.0]) - learned["mean"]) / learned["spread"]
    np.testing.assert_allclose(row["values"][[0, 2, 4], 0], expected, rtol=1e-6)


def test_a_zero_is_a_value(walks):
    assert walks.encode([0.0, 0.0])["observed"].all()


def test_training_values_have_mean_0_and_deviation_1(pairs):
    together = np.concatenate([pairs.encode(value)["values"] for value in PAIRS])
    np.testing.assert_allclose(together.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(together.std(axis=0), 1, atol=1e-5)


def test_every_form_of_one_series_is_read_alike(walks, pairs):
    forms = [[1, 2.5, 4], np.array([1, 2.5, 4]), np.array([[1, 2.5, 4]]), "[1, 2.5, 4]", [[1, 2.5, 4]],
             {"time": [0, 1, 2], "value": [1, 2.5, 4]}, '{"time": [5, 6, 7], "value": [1, 2.5, 4]}',
             np.array([1, 2.5, 4], dtype=object), [np.float32(1), np.float64(2.5), np.int16(4)]]  # fmt: skip
    first = walks.encode(forms[0])
    assert all(np.array_equal(walks.encode(form)["values"], first["values"]) for form in forms)
    both = [[[1, 2], [3, 4]], np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"]
    assert all(np.array_equal(pairs.encode(form)["values"], pairs.encode(both[0])["values"]) for form in both)


def test_uneven_samples_are_drawn_on_an_even_grid():
    series = fitted(WALKS, scale="none")
    row = series.encode({"time": [0, 1, 4], "value": [0, 1, 4]})
    np.testing.assert_allclose(row["values"][:, 0], [0, 2, 4])
    gap = series.encode({"time": [0, 1, 2, 3, 7], "value": [0, 1, None, 3, 7]})
    assert gap["observed"][:, 0].tolist() == [1, 0, 1, 1, 1]  # 1.75 is nearest to what is missing


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "missing_series"),
        (float("nan"), "missing_series"),
        ("null", "missing_series"),
        ("", "empty_series"),
        ([], "empty_series"),
        ([[]], "empty_series"),
        ([[1.0], []], "empty_series"),
        (np.zeros(0), "empty_series"),
        ("[]", "empty_series"),
        ([None, None], "all_missing"),
        ([float("nan")] * 3, "all_missing"),
        ([[None], [None]], "all_missing"),
        ("a text", "not_series"),
        ("[1, 2", "not_series"),
        ("3.5", "not_series"),
        (3.5, "not_series"),
        (7, "not_series"),
        (b"[1]", "not_series"),
        (object(), "not_series"),
        ([1.0, float("inf")], "infinite"),
        ([-float("inf")], "infinite"),
        ("[1, Infinity]", "infinite"),
        ([10**400], "infinite"),
        ([1e40], "infinite"),
        ([1, "2", 3], "text_in_series"),
        ([["a"]], "text_in_series"),
        (np.array(["1", "2"]), "text_in_series"),
        ([True, False], "boolean_in_series"),
        (True, "boolean_in_series"),
        (np.array([True]), "boolean_in_series"),
        ([1 + 2j], "complex_in_series"),
        (np.array([1j]), "complex_in_series"),
        ([[1, 2], [3]], "ragged_channels"),
        ([[1, 2], 3], "mixed_series"),
        ([[1, 2], None], "no_channel"),
        ([[[1]]], "nested_series"),
        (np.zeros((2, 2, 2)), "nested_series"),
        ("[" * 100_000, "nested_series"),
        ([{"a": 1}], "object_in_series"),
        ({}, "series_keys"),
        ({"values": [1]}, "series_keys"),
        ({"time": [0, 1], "value": [1, 2], "unit": "V"}, "series_keys"),
        ({"time": [0], "value": [1, 2]}, "series_times"),
        ({"time": [1, 0], "value": [1, 2]}, "series_times"),
        ({"time": [0, 0], "value": [1, 2]}, "series_times"),
        ({"time": [0, None], "value": [1, 2]}, "series_times"),
        ({"time": "0,1", "value": [1, 2]}, "series_times"),
        ({"time": None, "value": [1, 2]}, "missing_series"),
        (np.zeros(1_000_001), "series_too_long"),
        (np.zeros((1_001, 2)), "series_too_long"),
        ([[1, 2], [3, 4]], "wrong_channels"),
    ],
)
def test_a_value_that_is_no_series_says_why(walks, value, code):
    with pytest.raises(RowError) as refused:
        walks.encode(value)
    assert refused.value.code == code
    assert " — " in str(refused.value)


def test_channels_of_several_lengths_are_resampled_where_asked():
    ragged = fitted(PAIRS, ragged="resample", scale="none")
    row = ragged.encode([[0, 1, 2, 3, 4], [0, 2, 4]])
    np.testing.assert_allclose(row["values"][:, 1], [0, 1, 2, 3, 4])


numbers = st.lists(
    st.none() | st.floats(-1e6, 1e6, allow_nan=False).map(lambda one: round(one, 3)), min_size=1, max_size=60
)


@given(value=numbers, others=st.lists(numbers, max_size=3))
def test_encoding_is_pure_and_batch_mates_add_padding_alone(each, value, others):
    rows = [row for row in each.encode_many([value, *others, value]) if isinstance(row, dict)]
    first = each.encode_many([value])[0]
    if not isinstance(first, dict):
        assert all(one is None for one in value)
        return
    before = json.dumps(value)
    again = each.encode(value)
    assert json.dumps(value) == before
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert all(np.array_equal(rows[0][name], rows[-1][name]) for name in first)
    together = each.collate(rows)
    for place, row in enumerate(rows):
        for name, array in row.items():
            if name == "features":
                assert np.array_equal(together[name][place], array[0])
                continue
            assert np.array_equal(together[name][place, : len(array)], array)
            assert not together[name][place, len(array) :].any()
        assert all(np.isfinite(array).all() for array in row.values())
    limit = each.describe()["limit"]
    segments = int(first["mask"].max()) if "mask" in first else 1
    assert 1 <= each.length(first) <= limit * segments


def test_a_longer_series_is_averaged_down_cut_or_read_in_windows():
    long = [float(at) for at in range(100)]
    averaged = fitted([long], max_length=10, scale="none").encode(long)
    np.testing.assert_allclose(averaged["values"][:, 0], np.arange(10) * 10 + 4.5)
    head = fitted([long], max_length=10, long="head", scale="none").encode(long)
    assert head["values"][:, 0].tolist() == long[:10]
    windows = fitted([long], max_length=30, long="windows", scale="none").encode(long)
    assert windows["mask"].tolist() == [1] * 30 + [2] * 30 + [3] * 30 + [4] * 30
    assert windows["values"][[0, -1], 0].tolist() == [0, 99]


def test_the_length_covers_99_of_100_training_series_and_is_said():
    rows = [[0.0, 1.0] * 50] * 199 + [[0.0, 1.0] * 400]
    facts = fitted(rows).facts()
    assert facts["max_length"] == 100
    assert facts["cut"] == 0.005
    assert facts["longest"] == 800
    capped = fitted([[0.0, 1.0] * 1000] * 3).facts()
    assert capped["max_length"] == 1024
    assert "1024 positions (up to 2000)" in capped["warnings"][0]
    assert fitted(rows, limit=8, patch=4).max_length == 32


def test_normalised_training_series_are_normalised_one_by_one():
    rows = [((np.array(walk) - np.mean(walk)) / np.std(walk)).tolist() for walk in WALKS]
    series = fitted(rows)
    assert series.facts()["scale"] == "each"
    raw = series.encode([10 * one + 700 for one in rows[0]])["values"]
    np.testing.assert_allclose(raw, series.encode(rows[0])["values"], atol=1e-4)
    assert fitted(WALKS).facts()["scale"] == "global"


def test_a_flat_series_stays_flat_when_scaled_by_itself():
    series = fitted(WALKS, scale="each")
    assert np.abs(series.encode([3.0] * 20)["values"]).max() == 0
    assert np.abs(series.encode([3.0, 3.0 + 1e-9] * 10)["values"]).max() < 1e-3


def test_a_large_offset_costs_no_digits():
    rows = [[1e9 + one for one in walk] for walk in WALKS]
    assert fitted(rows).learned["spread"] == pytest.approx(fitted(WALKS).learned["spread"], rel=1e-6)


def test_an_outlier_is_moved_to_a_bound_that_half_formats_hold(walks):
    assert np.abs(walks.encode([0.0, 1e25])["values"]).max() == 1e4


def test_training_rows_of_other_channels_are_counted_and_refused():
    series = fitted([*PAIRS, WALKS[0]])
    assert series.channels == 2
    assert "1 of 21 series" in series.facts()["warnings"][0]
    with pytest.raises(RowError, match="1 channel; the training series have 2"):
        series.encode(WALKS[0])


def test_no_series_at_all_is_an_error_and_an_unfitted_one_says_so():
    with pytest.raises(DataError, match="no row holds a series"):
        fitted([None, "a", []])
    with pytest.raises(UsageError, match="call fit first"):
        Series().encode([1.0])


@pytest.mark.parametrize(
    "options",
    [{"scale": "both"}, {"long": "tail"}, {"patch": 0}, {"patch": True}, {"kernels": -1}, {"kernels": 10**7},
     {"ragged": "pad"}, {"max_length": 0}, {"windows": "many"}, {"augment": {"jitter": 2}}, {"augment": 3},
     {"augment": {"noise": 0.1}}, {"size": 3}],
)  # fmt: skip
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(RecipeError, match=rf"series\.?.*{next(iter(options))}"):
        Series.create(assets={}, limit=None, options=options)


def test_all_problems_of_the_options_are_told_at_once():
    with pytest.raises(RecipeError) as refused:
        Series.create(assets={}, limit=None, options={"scale": "x", "patch": 0, "augment": {"crop": -1}})
    assert len(refused.value.problems) == 3


def test_taking_out_a_slice_makes_it_missing(pairs):
    value = PAIRS[3]
    parts = pairs.parts(value)
    assert [part.start for part in parts][1:] == [part.stop for part in parts][:-1]
    row = pairs.encode(pairs.without(value, parts[2:4]))
    observed = np.ones(len(value[0]))
    observed[parts[2].start : parts[3].stop] = 0
    assert row["observed"][:, 1].tolist() == observed.tolist()
    assert pairs.without(value, parts) == {"blank": len(value[0])}
    assert not pairs.encode({"blank": 5})["observed"].any()
    with pytest.raises(RowError, match="keys"):
        pairs.encode({"blank": -1})


def test_augmentation_keeps_the_length_and_mostly_the_shape(walks):
    value = WALKS[10]
    changed = [walks.augment(value, np.random.default_rng(seed)) for seed in range(20)]
    assert all(one.shape == (1, len(value)) for one in changed)
    seen = [np.corrcoef(one[0][~np.isnan(one[0])], np.array(value)[~np.isnan(one[0])])[0, 1] for one in changed]
    assert np.mean(seen) > 0.8
    assert len({one.tobytes() for one in changed}) == 20
    still = fitted(WALKS, augment=dict.fromkeys(("jitter", "scaling", "warp", "crop", "shift"), 0))
    np.testing.assert_allclose(still.augment(value, np.random.default_rng(0))[0], value)


def test_damage_grows_with_its_severity(walks):
    value = WALKS[15]
    for kind in ("drift", "noise", "spikes"):
        away = [
            np.mean([np.abs(walks.corrupt(value, kind, severity, np.random.default_rng(seed))[0] - value).mean()
                     for seed in range(20)])
            for severity in (1, 3, 5)
        ]  # fmt: skip
        assert away == sorted(away)
        assert away[0] > 0
    lost = [np.isnan(walks.corrupt(value, "gaps", severity, np.random.default_rng(0))).mean() for severity in (1, 3, 5)]
    assert lost == sorted(lost)


def test_a_picture_shades_every_slice_and_breaks_the_line_at_a_gap(walks):
    shown = walks.render([1.0, 2.0, None, 4.0, 5.0], [0.5, -1, 0, 0, 1])
    assert shown.count("<rect") == 5
    assert "rgba(218,54,51,0.60)" in shown
    path = re.search(r'<path d="([^"]*)"', shown)
    assert path is not None
    assert path[1].count("M") == 2
    assert walks.render([3.0], [1.0]).count("<rect") == 1


def test_probes_move_as_training_series_do():
    sines = [np.sin(np.arange(64) / 2 + at).tolist() for at in range(30)]
    rough = [rng.normal(size=64).tolist() for _ in range(30)]

    def roughness(series):
        drawn = [np.array(series.probe(np.random.default_rng(seed)), float) for seed in range(30)]
        return np.median([np.square(np.diff(one)).mean() / one.var() for one in drawn])

    assert roughness(fitted(sines)) < 0.5 * roughness(fitted(rough))
    assert len(fitted(PAIRS).probe(np.random.default_rng(0))) == 2


def test_equal_series_have_equal_fingerprints_and_like_ones_share_most(walks):
    value = WALKS[19]
    print_ = walks.fingerprint(value)
    assert np.array_equal(walks.fingerprint(json.dumps(value)), print_)
    other = [*value[:-1], value[-1] + 3]
    shared = np.intersect1d(print_, walks.fingerprint(other)).size / np.union1d(print_, walks.fingerprint(other)).size
    assert 0.7 < shared < 1
    assert np.intersect1d(print_, walks.fingerprint(WALKS[2])).size < 5
    assert not np.array_equal(walks.fingerprint(value[::-1]), print_)
    assert walks.fingerprint("no series").size == 0


def test_a_sketch_counts_every_series_in_every_histogram(pairs):
    sketch = pairs.sketch([*PAIRS, None, "x", WALKS[0]])
    assert sketch["rows"] == len(PAIRS)
    assert {sum(one["counts"]) for one in sketch["histograms"].values()} == {len(PAIRS)}
    assert {"length", "missing", "level 0", "level 1", "spread 1"} <= set(sketch["histograms"])
