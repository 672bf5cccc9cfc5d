"""MiniROCKET: kernels against a slow loop, and as accurate as the authors' method is known to be."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV

from underlay.core import BundleRefused
from underlay.data import open_table
from underlay.modalities import Series
from underlay.modalities.series_kernels import KERNELS, KernelFeatures, Kernels, spread_dilations


def slowly(row: np.ndarray, kernels: Kernels) -> np.ndarray:
    """The same features position by position, from the paper's definition."""
    length, found, begin = len(row), [], 0
    starts = np.concatenate([[0], np.cumsum(kernels.sizes)])
    for place, (dilation, count) in enumerate(zip(kernels.dilations, kernels.counts, strict=True)):
        for number, twos in enumerate(combinations(range(9), 3)):
            at = place * 84 + number
            members = kernels.members[starts[at] : starts[at + 1]]
            signal = row[:, members].sum(axis=1)
            weights = [2 if tap in twos else -1 for tap in range(9)]
            outputs = [
                sum(
                    weight * (signal[where] if 0 <= (where := centre + (tap - 4) * dilation) < length else 0.0)
                    for tap, weight in enumerate(weights)
                )
                for centre in range(length)
            ]
            reach = 4 * dilation
            whole = (place + number) % 2 == 0 or length <= 2 * reach
            counted = outputs if whole else outputs[reach : length - reach]
            biases = kernels.biases[begin : begin + count]
            found.extend(np.mean([output > bias for output in counted]) for bias in biases)
            begin += count
    return np.array(found)


@pytest.mark.parametrize(("channels", "lengths"), [(1, (40, 40, 40)), (3, (40, 25, 12)), (12, (5, 30, 60))])
def test_features_are_those_of_the_definition(channels, lengths):
    rng = np.random.default_rng(0)
    rows = [rng.integers(-8, 9, size=(length, channels)).astype(float) for length in lengths]  # sums are exact
    kernels = Kernels.fit(rows, features=84 * 5, rng=rng)
    for row in rows:
        np.testing.assert_allclose(kernels.transform(row), slowly(row, kernels), atol=1e-6)


def test_there_are_as_many_features_as_asked_whatever_the_length():
    assert KERNELS == 84
    for length in (1, 5, 9, 24, 150, 500, 5000):
        dilations, counts = spread_dilations(length, 119)
        assert sum(counts) == 119
        assert min(counts) >= 1
        assert max(dilations) * 8 < max(length, 9)
        assert list(dilations) == sorted(set(dilations))


def test_features_do_not_depend_on_the_level_of_a_series():
    rng = np.random.default_rng(1)
    rows = [rng.integers(-8, 9, size=(60, 1)).astype(float) for _ in range(5)]
    kernels = Kernels.fit(rows, features=840, rng=rng)
    _, counts = spread_dilations(60, 10)
    inner = np.concatenate([
        np.repeat((np.arange(KERNELS) + place) % 2 == 1, count) for place, count in enumerate(counts)
    ])  # fmt: skip
    shifted = kernels.transform(rows[0] + 64)
    np.testing.assert_array_equal(shifted[inner], kernels.transform(rows[0])[inner])  # the others see the ends


def halves(name: str) -> tuple[np.ndarray, np.ndarray, list, list]:
    table = open_table(f"sample:{name}")
    split = np.array(table.values("split"))
    rows, labels = table.values("series"), np.array(table.values("label"))
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    return labels[train], labels[test], [rows[row] for row in train], [rows[row] for row in test]


@pytest.mark.parametrize(
    ("name", "least"),
    # aeon 1.6.0, MiniRocketClassifier, seeds 0 to 2, the same split: 0.993, 0.965, 1.000; it reads no unequal lengths
    [("gunpoint", 0.98), ("italy-power", 0.955), ("basic-motions", 0.97), ("japanese-vowels", 0.95)],
)
def test_it_answers_as_many_test_series_as_the_authors_method(name, least):
    y, asked, train, test = halves(name)
    series = Series.create(assets={}, limit=None, options={}).fit(train, np.random.default_rng(0))
    features: KernelFeatures = series.classical()
    model = RidgeClassifierCV(np.logspace(-3, 3, 10)).fit(features.fit_transform(train), y)
    assert model.score(features.transform(test), asked) >= least


def test_the_transformer_survives_what_is_no_series_and_scales_what_is_one():
    _, _, train, _ = halves("gunpoint")
    series = Series.create(assets={}, limit=None, options={}).fit(train, np.random.default_rng(0))
    features = series.classical()
    found = features.fit_transform([*train, None, "x"])
    assert found.dtype == np.float32
    assert not found[-2:].any()
    np.testing.assert_allclose(found[:-2].mean(axis=0), 0, atol=1e-4)
    assert series.classical().fit_transform([None, None]).shape == (2, found.shape[1])


def test_many_training_rows_get_fewer_kernels():
    rows = [[float(at % 7), float(at % 5), 1.0] for at in range(5_000)]
    series = Series.create(assets={}, limit=None, options={}).fit(rows, np.random.default_rng(0))
    assert series.classical().features == 4_000


@pytest.mark.parametrize("broken", ["members", "sizes", "biases", "middle", "width"])
@pytest.mark.parametrize("how", ["short", "type", "value", "gone"])
def test_kernels_of_a_file_that_do_not_fit_are_refused(broken, how):
    from safetensors.numpy import load, save

    rows = [[[float(at % 7), 2.0, 1.0, 4.0], [1.0, 2.0, float(at % 3), 0.0]] for at in range(20)]
    options = {"kernels": 84}
    files = dict(Series.create(assets={}, limit=None, options=options).fit(rows, np.random.default_rng(0)).state())
    arrays = load(files["kernels.safetensors"])
    assert Series.from_state(files).encode(rows[0])["features"].shape == (1, 84)
    if how == "gone":
        del arrays[broken]
    elif how == "short":
        arrays[broken] = arrays[broken][:-1]
    elif how == "type":
        arrays[broken] = arrays[broken].astype(np.float64)
    else:
        bad = {"members": 9, "sizes": 0, "biases": np.nan, "middle": np.inf, "width": 0}[broken]
        arrays[broken] = np.full_like(arrays[broken], bad)
    with pytest.raises(BundleRefused):
        Series.from_state({**files, "kernels.safetensors": save(arrays)})
