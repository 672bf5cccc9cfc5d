"""A head that shares the vectors of a stem."""

import json

import pytest
import torch

from underlay.core import BundleRefused
from underlay.models import Backbone, build, configure

TRUNK = {"name": "transformer.v1", "width": 12, "depth": 1, "heads": 2, "inner": 20, "causal": True, "rotary": True}
EVENTS = {"name": "events.v1", "vocabulary": 9, "gaps": 0, "attributes": [], "limit": 8}
TIED = {"next": {"column": "item", "first": 4}}
INPUTS = {"item": {"items": torch.tensor([[4, 5, 6], [8, 0, 0]]), "mask": torch.tensor([[1, 1, 1], [1, 0, 0]])}}


def config(**changes):
    found = configure(
        Backbone("small", TRUNK),
        columns={"item": EVENTS},
        outputs={"next": 5},
        dense=["next"],
        tied=TIED,
        pooling="last",
    )
    found["heads"][0] |= changes
    return json.loads(json.dumps(found))


def test_logits_are_products_with_the_vectors_of_the_labels():
    model = build(config(), seed=0).eval()
    with torch.no_grad():
        model.head("next").bias.copy_(torch.arange(5.0))
        output = model(INPUTS)
        vectors = model.stem("item").vectors[4:9]
    assert output.logits["next"].shape == (2, 3, 5)
    torch.testing.assert_close(output.logits["next"], output.hidden @ vectors.T + torch.arange(5.0))


def test_both_ends_teach_one_table_which_is_stored_once():
    model = build(config(), seed=0)
    assert [name for name in model.state_dict() if name.startswith("heads")] == ["heads.next.bias"]
    model(INPUTS).logits["next"].square().sum().backward()
    gradient = model.stem("item").vectors.grad
    assert (gradient[4:9].abs().sum(1) > 0).all()  # every label, though 7 is in no input


def test_a_causal_trunk_does_not_see_what_follows():
    model = build(config(), seed=0).eval()
    other = {"item": {**INPUTS["item"], "items": torch.tensor([[4, 5, 8], [8, 0, 0]])}}
    with torch.no_grad():
        one, changed = model(INPUTS).logits["next"], model(other).logits["next"]
    torch.testing.assert_close(one[0, :2], changed[0, :2])
    assert (one[0, 2] - changed[0, 2]).abs().max() > 1e-4


@pytest.mark.parametrize(
    "changes",
    [{"column": "other"}, {"first": -1}, {"first": 5}, {"outputs": 6}, {"first": "4"}, {"column": 3}],
)
def test_a_head_that_shares_what_is_not_there_is_refused(changes):
    with pytest.raises(BundleRefused):
        build(config(**changes), seed=0)
