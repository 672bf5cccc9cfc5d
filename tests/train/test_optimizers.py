"""Parameter groups: each layer at its own rate, vectors without decay, frozen ones nowhere."""

import pytest
import torch
from tests.train.toy import CONFIG

from underlay.models import build
from underlay.train import OPTIMIZERS, parameter_groups

RATES = {"learning_rate": 0.01, "head_factor": 5.0, "layer_decay": 0.5, "weight_decay": 0.1}


def grouped(model, **changes):
    groups = parameter_groups(model, layer_of=model.layer_of, depth=model.depth, **{**RATES, **changes})
    return {
        name: group
        for name, parameter in model.named_parameters()
        for group in groups
        if any(parameter is one for one in group["params"])
    }, groups


def test_each_layer_learns_at_its_rate_and_the_head_at_a_multiple_of_the_top():
    model = build(CONFIG, seed=0)
    by_name, _ = grouped(model)
    expected = {0: 0.25, 1: 0.5, 2: 1.0, 3: 5.0}  # two layers of trunk between stem and head
    assert {model.layer_of(name) for name in by_name} == set(expected)
    for name, group in by_name.items():
        assert group["scale"] == expected[model.layer_of(name)], name
        assert group["lr"] == pytest.approx(0.01 * group["scale"])


def test_matrices_decay_and_vectors_do_not():
    model = build(CONFIG, seed=0)
    by_name, _ = grouped(model)
    for name, parameter in model.named_parameters():
        assert by_name[name]["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name
    assert {group["weight_decay"] for group in by_name.values()} == {0.0, 0.1}


def test_every_learning_parameter_stands_in_one_group_and_frozen_ones_in_none():
    model = build(CONFIG, seed=0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(model.layer_of(name) >= 2)
    _, groups = grouped(model)
    taken = [id(parameter) for group in groups for parameter in group["params"]]
    learning = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len(taken) == len(set(taken))
    assert set(taken) == learning
    assert {group["scale"] for group in groups} == {1.0, 5.0}


def test_without_layer_decay_a_trunk_is_one_pair_of_groups():
    _, groups = grouped(build(CONFIG, seed=0), layer_decay=1.0)
    assert sorted((group["scale"], group["weight_decay"]) for group in groups) == [
        (1.0, 0.0),
        (1.0, 0.1),
        (5.0, 0.0),
        (5.0, 0.1),
    ]


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimiser_lowers_a_loss_and_respects_a_rate_of_0(name):
    torch.manual_seed(0)
    moving, still = torch.nn.Parameter(torch.randn(6, 4)), torch.nn.Parameter(torch.randn(6, 4))
    before = still.detach().clone()
    groups = [
        {"params": [moving], "lr": 0.05, "weight_decay": 0.0, "scale": 1.0},
        {"params": [still], "lr": 0.0, "weight_decay": 0.0, "scale": 0.0},
    ]
    optimizer = OPTIMIZERS[name](groups)
    assert [group["scale"] for group in optimizer.param_groups] == [1.0, 0.0], "the loop reads it at every step"
    losses = []
    for _ in range(30):
        loss = (moving**2).mean() + (still**2).mean()
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    if name != "adafactor.v1":  # its rate is a share of a matrix's own size, never less than eps
        torch.testing.assert_close(still.detach(), before)


def test_adamw_takes_torchs_own_step():
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    one = OPTIMIZERS["adamw"]([{"params": [ours], "lr": 0.1, "weight_decay": 0.1, "scale": 1.0}])
    other = torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.1)
    for _ in range(5):
        for parameter, optimizer in ((ours, one), (theirs, other)):
            (parameter.sin().sum()).backward()
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(ours, theirs)
