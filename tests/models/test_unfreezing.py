"""On every trunk: frozen layers rest, the others learn at the rate of their layer, and a probe moves the head alone."""

import pytest
import torch
from tests.models import test_contract, test_spatial
from tests.models.test_contract import BAGS, EVERY, text
from tests.models.test_spatial import SPATIAL

from underlay.strategies.learn import freeze
from underlay.train import fit_head, parameter_groups

RATE, DECAY, FACTOR = 0.01, 0.5, 5.0
TRUNKS = [*EVERY, *BAGS, *((name, {}) for name in SPATIAL)]
ROWS = [[[5, 6, 7, 8]], [[9, 10]], [[14]], [[15, 16, 17]], [[9, 30]], [[2, 3, 4, 5, 6]]]


def made(variant) -> tuple[torch.nn.Module, dict]:
    """A model and the inputs of a batch."""
    if variant[0] in SPATIAL:
        return test_spatial.make(variant[0]), test_spatial.inputs(test_spatial.pictures(6))
    return test_contract.make(variant=variant), text(ROWS)


def learn(model, inputs) -> list[dict]:
    """Two steps of plain gradient descent, which moves whatever has a gradient; the parameter groups."""
    groups = parameter_groups(
        model,
        layer_of=model.layer_of,
        depth=model.depth,
        learning_rate=RATE,
        head_factor=FACTOR,
        layer_decay=DECAY,
        weight_decay=0.0,
    )
    optimizer = torch.optim.SGD(groups)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs).logits["label"], labels).backward()
        optimizer.step()
    return groups


@pytest.mark.parametrize("variant", TRUNKS)
def test_frozen_layers_rest_and_each_other_learns_at_its_rate(variant):
    depth = made(variant)[0].depth
    for frozen in range(depth + 2):
        model, inputs = made(variant)
        freeze(model, frozen)
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        groups = learn(model, inputs)
        rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
        learned = set()
        for name, parameter in model.named_parameters():
            layer = model.layer_of(name)
            if layer < frozen:
                assert torch.equal(before[name], parameter), (frozen, name)
                continue
            wanted = RATE * (FACTOR if layer > depth else DECAY ** (depth - layer))
            assert rates[id(parameter)] == pytest.approx(wanted), (frozen, name)
            if not torch.equal(before[name], parameter):
                learned.add(layer)
        layers = {model.layer_of(name) for name in before}
        assert learned == {layer for layer in layers if layer >= frozen}, frozen


@pytest.mark.parametrize("variant", TRUNKS)
def test_what_enters_the_lowest_learning_layer_stays_what_it_was(variant):
    """Else outputs of frozen layers that were kept on disk would no longer be those of the model."""
    for frozen in range(2, made(variant)[0].depth + 2):
        model, inputs = made(variant)
        freeze(model, frozen)
        with torch.no_grad():
            before = model.lower(inputs, frozen - 1)
        learn(model, inputs)
        with torch.no_grad():
            assert torch.equal(model.lower(inputs, frozen - 1), before), frozen


@pytest.mark.parametrize("variant", TRUNKS)
def test_a_probe_moves_the_head_alone_and_fits_it(variant):
    model, inputs = made(variant)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        features = model(inputs).features
    labels = torch.tensor([0, 1, 2, 0, 1, 2])

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, labels)

    first = loss(model.head("label")(features)).item()
    fit_head(model.head("label"), features, loss)
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(before[name], parameter)}
    assert moved
    assert all(name.startswith("heads.") for name in moved)
    assert loss(model(inputs).logits["label"]).item() < first


def test_every_trunk_that_learns_is_tried_here():
    from underlay.models import TRUNKS as KNOWN
    from underlay.models import is_fixed

    assert {name for name, _ in TRUNKS} == {name for name in KNOWN if not is_fixed(name)}
