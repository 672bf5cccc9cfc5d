"""The number format is chosen by the clock, and fp32 wins a draw."""

import time

import pytest
import torch

from underlay.train import choose_precision
from underlay.train.precision import ROUNDS

CPU = torch.device("cpu")


def step_of(fp32, half):
    """A step that takes so many seconds in each format."""
    formats = []

    def step():
        formats.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
        time.sleep(half if torch.is_autocast_enabled("cpu") else fp32)

    return step, formats


@pytest.mark.parametrize(("fp32", "half", "chosen"), [(0.06, 0.01, "bf16"), (0.01, 0.06, "fp32"), (0.05, 0.05, "fp32")])
def test_the_faster_format_is_chosen_and_a_gain_too_small_is_none(fp32, half, chosen):
    step, formats = step_of(fp32, half)
    choice = choose_precision(step, device=CPU)
    assert choice.precision == chosen
    assert set(choice.seconds) == {"fp32", "bf16"}
    assert formats == [torch.float32, torch.bfloat16] * (ROUNDS + 1), "in turn, so that a busy moment hits both"


def test_slow_moments_do_not_decide():
    calls = []

    def step():
        calls.append(None)
        time.sleep(0.2 if len(calls) in (1, 3, 5) else 0.05)  # the warm-up of fp32, and two of its rounds

    assert choose_precision(step, device=CPU).precision == "fp32"


def test_a_format_the_model_cannot_compute_in_is_not_chosen():
    def step():
        time.sleep(0.01)
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("\"some_kernel\" not implemented for 'BFloat16'")

    choice = choose_precision(step, device=CPU)
    assert choice.precision == "fp32"
    assert set(choice.seconds) == {"fp32"}


def test_a_step_that_fails_in_fp32_is_an_error_and_not_a_choice():
    def step():
        raise RuntimeError("a bug in the model")

    with pytest.raises(RuntimeError, match="a bug in the model"):
        choose_precision(step, device=CPU)


def test_timing_leaves_autocast_off():
    choose_precision(lambda: None, device=CPU)
    assert not torch.is_autocast_enabled("cpu")
