"""A head straight on computed features: the trunk that has nothing to learn, and its stem."""

import json

import pytest
import torch

from underlay.core import UsageError
from underlay.models import build, configure, resolve

FEATURES = {"name": "features.v1", "count": 10, "limit": 1}


def make(seed=0):
    config = configure(resolve("minirocket"), columns={"x": FEATURES}, outputs={"y": 3})
    return build(json.loads(json.dumps(config)), seed=seed).eval()


def test_features_reach_the_head_as_they_are():
    model, features = make(), torch.randn(4, 10)
    with torch.no_grad():
        output = model({"x": {"features": features}})
    assert torch.equal(output.features, features)
    assert output.logits["y"].shape == (4, 3)
    assert output.mask is None


def test_only_the_head_learns():
    model = make()
    assert {model.layer_of(name) for name, _ in model.named_parameters()} == {model.depth + 1}
    assert model.depth == 0


def test_the_trunk_is_as_wide_as_there_are_features():
    assert resolve("minirocket", options={"width": 840}).suggests == {"series": {"kernels": 840}}
    assert make().trunk.width == 10


@pytest.mark.parametrize("trunk", ["convolution", "transformer", "inception"])
def test_features_are_one_position_for_any_other_trunk(trunk):
    options = {"convolution": {"width": 12, "depth": 1, "kernels": [3, 5]}, "inception": {"width": 12, "depth": 1},
               "transformer": {"width": 12, "depth": 1, "heads": 2, "inner": 12}}[trunk]  # fmt: skip
    model = build(configure(resolve(trunk, options=options), columns={"x": FEATURES}, outputs={"y": 2}), seed=0).eval()
    rows = torch.randn(3, 10)
    with torch.no_grad():
        together = model({"x": {"features": rows}}).logits["y"]
        alone = torch.cat([model({"x": {"features": row[None]}}).logits["y"] for row in rows])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "columns",
    [{"t": {"name": "text.v1", "vocabulary": 9, "padding": 0, "limit": 4}}, {"x": FEATURES, "z": FEATURES}],
)
def test_what_gives_no_features_or_too_many_is_refused(columns):
    with pytest.raises(UsageError, match="minirocket stands on computed features of one column"):
        configure(resolve("minirocket"), columns=columns, outputs={"y": 2})
