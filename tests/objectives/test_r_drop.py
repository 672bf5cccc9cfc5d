"""Two passes over the same rows: what it costs that they differ."""

import pytest
import torch
from torch.nn import functional

from underlay.core import Batch, Output, Target
from underlay.objectives import Step, build_objective, r_drop


class Twice:
    """A model whose second pass says `again`."""

    def __init__(self, again, mask):
        self.again, self.own, self.calls = again, mask, 0

    def encode(self, embedded, mask=None, memory=None):
        self.calls += 1
        return Output(embedded, embedded.mean(1), {"label": self.again}, mask)


def cost(first, again, *, labels=None, weight=None, mask=None):
    mask = torch.ones(first.shape[:-1] if first.ndim == 3 else (len(first), 1)) if mask is None else mask
    labels = torch.full(first.shape[:-1], -100) if labels is None else labels
    batch = Batch({}, {"label": labels}, {} if weight is None else {"weight": weight})
    hidden = first if first.ndim == 3 else first.unsqueeze(1)
    model = Twice(again, mask)
    step = Step(batch, hidden, Output(hidden, hidden.mean(1), {"label": first}, mask), model=model, number=0)
    value = r_drop().loss({}, step)[0]
    assert model.calls == 1
    return value


def apart(one, other):
    """Half the sum of both divergences of two rows of logits, in probabilities."""
    p, q = one.softmax(-1), other.softmax(-1)
    return float(((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 2)


def test_it_is_the_mean_of_both_divergences_and_needs_no_label():
    generator = torch.Generator().manual_seed(0)
    first, again = (2 * torch.randn(5, 3, generator=generator) for _ in range(2))
    wanted = sum(apart(a, b) for a, b in zip(first, again, strict=True)) / 5
    assert float(cost(first, again)) == pytest.approx(wanted, rel=1e-5)
    assert float(cost(again, first)) == pytest.approx(wanted, rel=1e-5)
    assert float(cost(first, first)) == 0.0


def test_rows_weigh_what_their_column_says():
    first, again = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    one, other = apart(first[0], again[0]), apart(first[1], again[1])
    found = cost(first, again, weight=torch.tensor([3.0, 1.0]))
    assert float(found) == pytest.approx((3 * one + other) / 4, rel=1e-5)


def test_of_a_dense_target_padding_counts_nothing():
    generator = torch.Generator().manual_seed(1)
    first, again = (torch.randn(2, 4, 3, generator=generator) for _ in range(2))
    mask = torch.tensor([[1, 1, 2, 0], [1, 0, 0, 0]])  # the third position is of a second window
    wanted = sum(apart(first[b, at], again[b, at]) for b, at in ((0, 0), (0, 1), (0, 2), (1, 0))) / 4
    assert float(cost(first, again, mask=mask)) == pytest.approx(wanted, rel=1e-5)


def test_both_passes_are_moved():
    first = torch.tensor([[1.0, 0.0]], requires_grad=True)
    again = torch.tensor([[0.0, 0.5]], requires_grad=True)
    cost(first, again).backward()
    assert first.grad.abs().sum() > 0
    assert again.grad.abs().sum() > 0


def test_a_recipe_names_it_beside_the_usual_loss():
    target = Target("label", "binary", ("n", "y"))
    objective = build_objective({"task": {}, "same": {"name": "r_drop", "weight": 2.0}}, schema_targets=[target])
    assert objective.weights == {"task": 1.0, "same": 2.0}
    logits = torch.tensor([[1.0, -1.0]])
    model = Twice(logits, torch.ones(1, 1))
    hidden = logits.unsqueeze(1)
    step = Step(Batch({}, {"label": torch.tensor([0])}), hidden, Output(hidden, logits, {"label": logits}), model, 0)
    found = objective({"task": {}, "same": {}}, step)
    assert float(found.total.detach()) == pytest.approx(
        float(functional.cross_entropy(logits, torch.tensor([0]))), rel=1e-5
    )
