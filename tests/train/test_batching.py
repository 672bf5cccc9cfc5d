"""Batches: every row once, both limits kept, the same again on resume."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from underlay.train import plan_epoch, plan_sweep

lengths_of_rows = st.lists(st.integers(1, 600), min_size=1, max_size=300).map(np.array)


@given(lengths_of_rows, st.integers(16, 2000), st.integers(1, 64), st.integers(0, 5))
def test_every_row_stands_in_exactly_one_batch_of_an_epoch(lengths, batch_tokens, batch_rows, epoch):
    batches = plan_epoch(lengths, batch_tokens=batch_tokens, batch_rows=batch_rows, seed=3, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))


@given(lengths_of_rows, st.integers(16, 2000), st.integers(1, 64))
def test_no_batch_exceeds_the_budget_but_a_row_that_does_so_alone(lengths, batch_tokens, batch_rows):
    for batch in plan_epoch(lengths, batch_tokens=batch_tokens, batch_rows=batch_rows, seed=0, epoch=0):
        assert len(batch) <= batch_rows
        assert len(batch) * lengths[batch].max() <= batch_tokens or len(batch) == 1


@given(lengths_of_rows, st.integers(16, 2000))
def test_a_sweep_visits_every_row_once_and_the_shortest_first(lengths, batch_tokens):
    visited = np.concatenate(plan_sweep(lengths, batch_tokens=batch_tokens, batch_rows=64))
    assert sorted(visited.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[visited]) >= 0).all()


def test_an_epoch_is_planned_the_same_way_again_and_another_one_differently():
    lengths = np.random.default_rng(0).integers(1, 50, 200)
    plans = [
        [batch.tolist() for batch in plan_epoch(lengths, batch_tokens=400, batch_rows=16, seed=1, epoch=epoch)]
        for epoch in (0, 0, 1)
    ]
    assert plans[0] == plans[1] != plans[2]


def test_rows_of_like_length_stand_together_so_that_little_is_padding():
    lengths = np.random.default_rng(0).integers(5, 60, 5000)
    batches = plan_epoch(lengths, batch_tokens=4096, batch_rows=32, seed=0, epoch=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert lengths.sum() / padded > 0.95
