"""The loop: it learns, it stops when it should, it never goes on with a broken loss."""

import numpy as np
import pytest
import torch
from tests.train.toy import history, toy_loop, toy_rows, weights

from underlay.core import LossNotFinite, UsageError
from underlay.objectives import Objective, cross_entropy, stateless
from underlay.train import Observer, Plan

PLAN = Plan(seed=0, epochs=2, batch_tokens=256, batch_rows=16, checkpoint_every=5, log_every=2)


def test_training_lowers_the_loss(tmp_path):
    state = toy_loop(tmp_path, plan=Plan(**{**vars(PLAN), "epochs": 15}), learning_rate=5e-3).run()
    losses = [record["loss"] for record in history(state) if "epoch" not in record]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    loops = [
        toy_loop(tmp_path / str(at), plan=Plan(**{**vars(PLAN), "seed": seed})) for at, seed in enumerate((1, 1, 2))
    ]
    for loop in loops:
        loop.run()
    one, two, other = (torch.cat([tensor.flatten() for tensor in weights(loop).values()]) for loop in loops)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_accumulating_two_halves_is_one_step_on_the_whole_without_dropout(tmp_path):
    def still(model):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0

    rows = toy_rows(32)
    flat = type(rows)([row[:3] for row in rows.ids], rows.labels, [])
    whole = toy_loop(
        tmp_path / "a", rows=flat, change=still, plan=Plan(**{**vars(PLAN), "epochs": 1, "batch_rows": 32})
    )
    halves = toy_loop(
        tmp_path / "b",
        rows=flat,
        change=still,
        plan=Plan(**{**vars(PLAN), "epochs": 1, "batch_rows": 16, "accumulate": 2}),
    )
    whole.run()
    halves.run()
    assert whole.state.progress.step == halves.state.progress.step == 1
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(tensor, weights(halves)[name], rtol=1e-4, atol=1e-6)


def test_accumulation_refuses_a_term_that_compares_rows_of_a_batch(tmp_path):
    coupled = stateless(lambda step: step.output.features.var(0).mean(), coupled=True)
    objective = Objective({"task": cross_entropy(), "spread": coupled})
    with pytest.raises(UsageError, match=r"train\.accumulate=1"):
        toy_loop(tmp_path, plan=Plan(**{**vars(PLAN), "accumulate": 2}), objective=objective)


@pytest.mark.row("D18")
def test_a_loss_that_stays_nan_ends_in_an_error_after_the_retries(tmp_path):
    broken = stateless(lambda step: step.output.features.sum() * float("nan"))
    with pytest.raises(LossNotFinite, match="after 1 returns"):
        toy_loop(tmp_path, plan=PLAN, objective=Objective({"task": broken})).run()


@pytest.mark.row("D18")
def test_a_loss_that_is_nan_once_goes_back_to_the_checkpoint_at_half_the_rate(tmp_path):
    failures = []

    def loss(step):
        if step.number == 7 and not failures:
            failures.append(step.number)
            return step.output.features.sum() * float("nan")
        return torch.nn.functional.cross_entropy(step.output.logit(), step.batch.target())

    state = toy_loop(tmp_path, plan=PLAN, objective=Objective({"task": stateless(loss)})).run()
    assert failures == [7]
    assert state.progress.retries == 1
    assert state.progress.epoch == PLAN.epochs


def test_early_stopping_ends_after_validations_without_a_gain_and_the_best_weights_are_kept(tmp_path):
    plan = Plan(**{**vars(PLAN), "epochs": 30, "early_stopping": 2})
    loop = toy_loop(tmp_path, plan=plan, learning_rate=0.3)
    state = loop.run()
    assert state.progress.stopped == "early"
    assert state.progress.epoch < 30
    for name, tensor in state.best.items():
        assert torch.equal(dict(loop.bare.named_parameters())[name], tensor)


def test_a_time_limit_ends_the_run_with_a_validation_and_says_so(tmp_path):
    state = toy_loop(tmp_path, plan=Plan(**{**vars(PLAN), "epochs": 1000, "time_limit": 0.2})).run()
    assert state.progress.stopped == "time"
    assert "epoch" in history(state)[-1]


def test_a_callback_may_ask_to_stop(tmp_path):
    class Enough(Observer):
        def on_step(self, step, record):
            return step == 3

    state = toy_loop(tmp_path, plan=PLAN, callbacks=[Enough()]).run()
    assert (state.progress.step, state.progress.stopped) == (3, "asked")
