"""Sums of terms, their weights over time, and what a step lets a term do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from underlay.core import Batch, Inputs, Output, UsageError
from underlay.objectives import LossTerm, Objective, Step, constant, cross_entropy, linear, stateless


class Linear(nn.Module):
    """`[B, L, D]` in, mean over L, one linear head: the smallest real model."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def embed(self, inputs: Inputs) -> Tensor:
        return inputs["x"]["values"]

    def mask(self, inputs: Inputs) -> Tensor | None:
        return inputs["x"].get("mask")

    def encode(self, embedded, mask=None, memory=None) -> Output:
        keep = torch.ones(embedded.shape[:2]) if mask is None else (mask > 0).float()
        features = (embedded * keep.unsqueeze(-1)).sum(1) / keep.sum(1, keepdim=True)
        return Output(embedded, features, {"label": self.head(features)}, mask)


def step_at(number: int = 0) -> Step:
    torch.manual_seed(0)
    model = Linear()
    inputs = {"x": {"values": torch.randn(5, 2, 4), "mask": torch.tensor([[1, 0]] * 5)}}
    batch = Batch(inputs, {"label": torch.tensor([0, 1, 2, 1, -100])})
    embedded = model.embed(inputs).requires_grad_()
    return Step(batch, embedded, model.encode(embedded, model.mask(inputs)), model, number)


def decay() -> LossTerm:
    """Half the squared drift of the parameters from where they began."""

    def init(model):
        return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def loss(state, step):
        now = dict(step.model.named_parameters())
        return sum((now[name] - anchor).square().sum() for name, anchor in state.items()) / 2, state

    return LossTerm(init, loss)


def counting() -> LossTerm:
    def loss(state, step):
        return step.output.features.sum() * 0, {"seen": state["seen"] + 1}

    return LossTerm(lambda model: {"seen": torch.zeros(())}, loss)


def test_the_total_is_the_weighted_sum_and_the_parts_are_unweighted():
    objective = Objective({"task": cross_entropy(), "again": cross_entropy(0.2)}, weights={"again": 0.5})
    step = step_at()
    value = objective(objective.init(step.model), step)
    torch.testing.assert_close(value.total.detach(), value.parts["task"] + 0.5 * value.parts["again"])
    assert value.total.requires_grad
    assert not any(part.requires_grad for part in value.parts.values())


@settings(deadline=None, max_examples=40)
@given(st.floats(0.01, 100))
def test_scaling_a_weight_scales_the_gradient(weight):
    step = step_at()
    gradients = []
    for factor in (1.0, weight):
        objective = Objective({"task": cross_entropy()}, weights={"task": factor})
        total = objective(objective.init(step.model), step).total
        gradients.append(torch.autograd.grad(total, step.model.head.weight, retain_graph=True)[0])
    torch.testing.assert_close(gradients[1], weight * gradients[0], rtol=1e-4, atol=1e-6)


def test_a_single_term_of_weight_one_is_the_term_to_the_last_bit():
    step = step_at()
    alone, _ = cross_entropy().loss({}, step)
    assert torch.equal(Objective({"task": cross_entropy()})({"task": {}}, step).total, alone)


def test_a_term_of_weight_zero_is_not_computed_and_keeps_its_state():
    objective = Objective({"task": cross_entropy(), "count": counting()}, weights={"count": linear(1.0, steps=2)})
    state = objective.init(step_at().model)
    for number in range(3):
        value = objective(state, step_at(number))
        state = value.state
    assert state["count"]["seen"] == 2
    assert "count" not in objective(state, step_at(0)).parts


def test_where_every_weight_is_zero_the_step_is_still_a_step():
    objective = Objective({"task": cross_entropy()}, weights={"task": 0.0})
    step = step_at()
    value = objective(objective.init(step.model), step)
    (gradient,) = torch.autograd.grad(value.total, step.embedded)
    assert float(value.total.detach()) == 0.0
    assert not gradient.any()


def test_neither_the_state_nor_the_batch_is_changed_in_place():
    objective = Objective({"count": counting(), "decay": decay()})
    step = step_at()
    state = objective.init(step.model)
    before = {name: {key: tensor.clone() for key, tensor in inner.items()} for name, inner in state.items()}
    objective(state, step)
    for name, inner in before.items():
        for key, tensor in inner.items():
            assert torch.equal(state[name][key], tensor)


def test_a_penalty_with_memory_is_zero_at_its_anchor_and_quadratic_away():
    objective = Objective({"decay": decay()})
    step = step_at()
    state = objective.init(step.model)
    costs = []
    for _ in range(3):
        costs.append(float(objective(state, step).total.detach()))
        with torch.no_grad():
            step.model.head.bias += 1.0
    assert costs == pytest.approx([0.0, 1.5, 6.0])


def test_rerun_sees_other_inputs_under_the_same_mask():
    step = step_at()
    moved = step.embedded.detach().clone()
    moved[:, 1] += 100.0  # the second position is padding
    torch.testing.assert_close(step.rerun(moved).output.logit(), step.output.logit())
    moved[:, 0] += 1.0
    assert not torch.allclose(step.rerun(moved).output.logit(), step.output.logit())


def test_terms_that_look_across_rows_say_so():
    spread = stateless(lambda step: step.output.features.var(0).sum(), coupled=True)
    assert Objective({"task": cross_entropy(), "spread": spread}).coupled == ("spread",)


def test_a_weight_for_no_term_and_an_empty_objective_are_refused():
    with pytest.raises(UsageError, match="did you mean 'task'"):
        Objective({"task": cross_entropy()}, weights={"tusk": 1.0})
    with pytest.raises(UsageError, match="has no term"):
        Objective({})


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 500), st.floats(0, 5), st.floats(0, 5), st.integers(1, 100), st.integers(0, 100))
def test_a_linear_ramp_stays_between_its_ends_and_reaches_them(number, start, end, steps, after):
    ramp = linear(end, steps=steps, start=start, after=after)
    assert min(start, end) - 1e-9 <= ramp(number) <= max(start, end) + 1e-9
    assert ramp(after) == start
    assert ramp(after + steps) == pytest.approx(end)
    assert constant(end)(number) == end
