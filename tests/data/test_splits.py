"""Splits: every row once, nothing shared, nothing torn."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.core import DataError, UsageError
from underlay.data import Splits, split

_shares = st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.4]), st.sampled_from([0.0, 0.1, 0.25, 0.4]))
_seeds = st.integers(0, 2**63 - 1)


def _require_whole(parts: Splits, n: int) -> None:
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(rows.tolist()) == list(range(n))
    for part in (parts.train, parts.validation, parts.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@settings(max_examples=150, deadline=None)
@given(
    labels=st.lists(st.integers(-1, 5), min_size=1, max_size=120),
    shares=_shares,
    seed=_seeds,
    strategy=st.sampled_from(["random", "stratified", "group", "time"]),
)
def test_every_row_stands_in_exactly_one_part_and_again_for_the_same_seed(labels, shares, seed, strategy):
    def draw() -> Splits:
        column = {"stratified": "labels", "group": "groups", "time": "times"}.get(strategy)
        given_column = {column: labels} if column else {}
        return split(len(labels), strategy=strategy, validation=shares[0], test=shares[1], seed=seed, **given_column)

    parts = draw()
    _require_whole(parts, len(labels))
    assert len(parts.train)
    again = draw()
    assert all(np.array_equal(one, other) for one, other in zip(parts_of(parts), parts_of(again), strict=True))


def parts_of(parts: Splits) -> tuple[np.ndarray, ...]:
    return parts.train, parts.validation, parts.test


@settings(max_examples=150, deadline=None)
@given(labels=st.lists(st.integers(0, 5), min_size=10, max_size=200), shares=_shares, seed=_seeds)
def test_a_stratified_split_keeps_each_label_in_training_and_near_its_share(labels, shares, seed):
    labels = np.array(labels)
    parts = split(len(labels), strategy="stratified", labels=labels, validation=shares[0], test=shares[1], seed=seed)
    for label in np.unique(labels):
        rows = int((labels == label).sum())
        assert (labels[parts.train] == label).any()
        for part, share in ((parts.validation, shares[0]), (parts.test, shares[1])):
            assert abs((labels[part] == label).sum() - rows * share) <= 2
    for part, share in ((parts.validation, shares[0]), (parts.test, shares[1])):
        assert len(part) <= max(1, round(len(labels) * share)) if share else not len(part)


@pytest.mark.row("D02")
def test_the_only_row_of_a_label_goes_to_training():
    labels = [0] * 30 + [1] * 30 + [2]
    for seed in range(20):
        assert 60 in split(61, strategy="stratified", labels=labels, validation=0.4, test=0.4, seed=seed).train


@settings(max_examples=150, deadline=None)
@given(
    groups=st.lists(st.sampled_from(["a", "b", "c", "d", None, "e"]), min_size=1, max_size=80),
    shares=_shares,
    seed=_seeds,
)
def test_a_group_is_never_torn_and_rows_without_one_stand_alone(groups, shares, seed):
    parts = split(len(groups), strategy="group", groups=groups, validation=shares[0], test=shares[1], seed=seed)
    homes: dict[str, set[int]] = {}
    for number, part in enumerate(parts_of(parts)):
        for row in part:
            if groups[row] is not None:
                homes.setdefault(groups[row], set()).add(number)
    assert all(len(home) == 1 for home in homes.values())


def test_many_groups_come_near_the_shares():
    groups = np.repeat(np.arange(200), 5)
    parts = split(1000, strategy="group", groups=groups, validation=0.1, test=0.2, seed=3)
    assert abs(len(parts.test) - 200) <= 5
    assert abs(len(parts.validation) - 100) <= 5


@settings(max_examples=100, deadline=None)
@given(times=st.lists(st.integers(0, 30), min_size=1, max_size=80), shares=_shares)
def test_training_is_older_than_validation_and_validation_older_than_test(times, shares):
    parts = split(len(times), strategy="time", times=times, validation=shares[0], test=shares[1], seed=0)
    ordered = [np.array(times)[part] for part in parts_of(parts) if len(part)]
    assert all(earlier.max() < later.min() for earlier, later in pairwise(ordered))


@pytest.mark.parametrize(
    "times",
    [
        ["9", "10", "100", "1000"],
        ["2025-12-31", "2026-01-01T00:00", "2026-01-01T12:00Z", "2026-02-01"],
        [date(2025, 1, day) for day in (1, 2, 3, 4)],
    ],
)
def test_times_sort_as_times_and_not_as_text(times):
    shuffled = [times[at] for at in (2, 0, 3, 1)]
    parts = split(4, strategy="time", times=shuffled, validation=0.25, test=0.25, seed=0)
    assert (parts.test.tolist(), parts.validation.tolist()) == ([2], [0])


def test_times_that_would_have_to_be_guessed_are_refused():
    with pytest.raises(DataError, match="no dates that sort, as '31/01/2026'"):
        split(2, strategy="time", times=["31/01/2026", "01/02/2026"], seed=0)
    with pytest.raises(DataError, match="1 rows have no time, the first is row 2"):
        split(2, strategy="time", times=["2026-01-01", ""], seed=0)


def test_shares_and_columns_are_checked():
    with pytest.raises(UsageError, match="leave nothing for training"):
        split(10, strategy="random", validation=0.5, test=0.5)
    with pytest.raises(UsageError, match="a group split needs groups"):
        split(10, strategy="group")
    with pytest.raises(UsageError, match="3 values for 10 rows"):
        split(10, strategy="stratified", labels=[0, 1, 0])


def test_another_seed_gives_another_split():
    first, second = (split(100, strategy="random", seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.test, second.test)
