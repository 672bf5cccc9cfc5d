"""A head that reads every position, on every trunk that keeps them: what each combination promises."""

import json

import pytest
import torch
from tests.models.test_contract import DESCRIBED, ROWS, SMALL, VARIANTS, text

from underlay.core import BundleRefused
from underlay.models import HEADS, Backbone, build, configure

OWN = [head for head in HEADS if head != "tied.v1"]  # needs a stem with vectors to share


def make(variant, head="linear.v1"):
    backbone = Backbone("small", {"name": variant[0], **SMALL[variant[0]], **variant[1]})
    columns, outputs = {"text": DESCRIBED["text.v1"]}, {"tags": 3, "label": 2}
    config = configure(backbone, columns=columns, outputs=outputs, head=head, dense=["tags"])
    model = build(json.loads(json.dumps(config)), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


@pytest.mark.parametrize("head", OWN)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_position_gives_the_same_alone_and_among_others_and_under_more_padding(variant, head):
    model, inputs = make(variant, head), text(ROWS)
    with torch.no_grad():
        together, wider = model(inputs).logits, model(text(ROWS, length=16)).logits
    assert together["tags"].shape == (*inputs["text"]["ids"].shape, 3)
    assert together["label"].shape == (len(ROWS), 2)
    for at, row in enumerate(ROWS):
        with torch.no_grad():
            alone = model(text([row])).logits["tags"][0]
        for padded in (together, wider):
            torch.testing.assert_close(padded["tags"][at, : len(alone)], alone, rtol=0, atol=2e-5)
    real = inputs["text"]["mask"] > 0
    assert together["tags"][real].std(dim=0).min() > 1e-3  # positions differ


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_under_a_dense_head_learns(variant):
    model = make(variant).train()
    output = model(text(ROWS))
    (output.logits["tags"].square().sum() + output.logits["label"].square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_config_that_asks_for_a_dense_head_otherwise_is_refused():
    backbone = Backbone("small", {"name": "transformer.v1", **SMALL["transformer.v1"]})
    config = configure(backbone, columns={"text": DESCRIBED["text.v1"]}, outputs={"tags": 3}, dense=["tags"])
    config["heads"][0]["dense"] = "yes"
    with pytest.raises(BundleRefused, match="dense = 'yes'"):
        build(config, seed=0)
