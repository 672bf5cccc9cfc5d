"""Schedules: factors between 0 and 1, in the shapes of torch's schedulers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from underlay.train import SCHEDULES

NAMES = sorted(SCHEDULES)
STEPS = 200


def rates(make, steps=STEPS, rate=1.0):
    """What torch's scheduler gives at steps 0 .. steps - 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(found)


@pytest.mark.parametrize("name", NAMES)
@given(warmup=st.floats(0, 0.99), progress=st.floats(0, 1))
def test_a_factor_lies_between_0_and_1(name, warmup, progress):
    assert 0.0 <= SCHEDULES[name](warmup)(progress) <= 1.0


@pytest.mark.parametrize("name", NAMES)
@given(warmup=st.floats(0.01, 0.99), one=st.floats(0, 1), other=st.floats(0, 1))
def test_it_rises_through_the_warmup_to_1_and_never_rises_again(name, warmup, one, other):
    factor, (early, late) = SCHEDULES[name](warmup), sorted((one, other))
    assert factor(warmup) == pytest.approx(1.0)
    if late <= warmup:
        assert factor(early) <= factor(late) + 1e-12
    if early >= warmup:
        assert factor(early) >= factor(late) - 1e-12


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_one_cycle_is_torchs(share):
    theirs = rates(lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=STEPS + 1, pct_start=share))
    # torch counts its phases in steps and ends the first one step early; the shape is the same.
    last = STEPS
    ours = SCHEDULES["one-cycle"]((share * (STEPS + 1) - 1) / last)
    np.testing.assert_allclose([ours(step / last) for step in range(STEPS)], theirs, atol=1e-9)


def test_cosine_without_warmup_is_torchs():
    theirs = rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS))
    np.testing.assert_allclose([SCHEDULES["cosine"](0.0)(step / STEPS) for step in range(STEPS)], theirs, atol=1e-9)


def test_the_fall_of_linear_is_torchs():
    theirs = rates(lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=STEPS))
    np.testing.assert_allclose([SCHEDULES["linear"](0.0)(step / STEPS) for step in range(STEPS)], theirs, atol=1e-9)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_the_warmup_is_torchs(name):
    start = 1e-8  # torch's cannot start at 0
    theirs = rates(lambda optimizer: lr_scheduler.LinearLR(optimizer, start, 1.0, total_iters=STEPS // 2), STEPS // 2)
    ours = [SCHEDULES[name](0.5)(step / STEPS) for step in range(STEPS // 2)]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_constant_stays():
    assert {SCHEDULES["constant"](0.1)(progress) for progress in (0.1, 0.5, 1.0)} == {1.0}
    assert SCHEDULES["constant"](0.0)(0.0) == 1.0
