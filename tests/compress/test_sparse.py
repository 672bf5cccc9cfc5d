"""Single weights that become zero: which stay, how many, and that training is told by its masks and by nothing else."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from underlay.compress.sparse import Mask, masked, packed, settle
from underlay.core import UsageError


def model(width: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "trunk": nn.ModuleDict({"up": nn.Linear(width, width), "small": nn.Linear(4, 4)}),
            "head": nn.Linear(width, 64),
        }
    )


@pytest.mark.parametrize("kind", ["magnitude", "movement"])
def test_only_large_matrices_of_the_trunk_lose_weights_and_exactly_the_share(kind):
    made = model()
    head = made["head"].weight.detach().clone()
    assert masked(made, ratio=0.3, kind=kind, passes=4) == ["trunk.up"]
    zeros, total = settle(made)
    assert (zeros, total) == (int(0.3 * 64 * 64), 64 * 64)
    assert not parametrize.is_parametrized(made["trunk"]["up"])
    assert torch.equal(made["head"].weight, head)
    assert set(made.state_dict()) == set(model().state_dict())


def test_by_magnitude_the_largest_stay():
    made = model()
    before = made["trunk"]["up"].weight.detach().clone()
    masked(made, ratio=0.5, kind="magnitude", passes=1)
    settle(made)
    after = made["trunk"]["up"].weight.detach()
    assert before[after != 0].abs().min() >= before[after == 0].abs().max()
    assert torch.equal(after[after != 0], before[after != 0])


def test_by_movement_small_weights_that_grow_stay_and_large_ones_that_shrink_go():
    made = nn.ModuleDict({"trunk": nn.Linear(64, 64, bias=False)})
    layer = made["trunk"]
    with torch.no_grad():
        layer.weight[:, :32], layer.weight[:, 32:] = 0.1, 1.0
    masked(made, ratio=0.5, kind="movement", passes=20)
    made.train()
    optimizer = torch.optim.SGD(made.parameters(), lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        weight = layer.weight
        (weight[:, 32:].square().sum() - weight[:, :32].sum()).backward()
        optimizer.step()
    settle(made)
    assert (layer.weight[:, :32] != 0).float().mean() > 0.9
    assert (layer.weight[:, 32:] == 0).float().mean() > 0.9


def test_the_slope_of_a_score_is_that_of_the_weight_times_the_weight():
    torch.manual_seed(0)
    weight = torch.randn(8, 8, requires_grad=True)
    mask = Mask(weight.detach(), ratio=0.5, kind="movement", passes=1).eval()
    slope = torch.randn(8, 8)
    (mask(weight) * slope).sum().backward()
    assert mask.scores is not None
    assert torch.allclose(mask.scores.grad, slope * weight.detach())
    kept = mask(weight) != 0
    assert torch.equal(weight.grad != 0, kept)


def test_the_share_rises_with_training_by_a_cubic_curve_and_evaluation_sees_the_last():
    weight = torch.randn(100, 100, generator=torch.Generator().manual_seed(0))
    mask = Mask(weight, ratio=0.8, kind="magnitude", passes=10)
    shares = [float((mask.train()(weight) == 0).float().mean()) for _ in range(15)]
    expected = [0.8 * (1 - max(0.0, 1 - step / 10) ** 3) for step in range(1, 16)]
    assert shares == pytest.approx(expected, abs=1e-3)
    fresh = Mask(weight, ratio=0.8, kind="magnitude", passes=10)
    assert float((fresh.eval()(weight) == 0).float().mean()) == pytest.approx(0.8, abs=1e-3)


def test_zeros_make_a_tensor_no_smaller_and_an_archive_of_it_smaller():
    whole, sparse = torch.randn(400, 400, generator=torch.Generator().manual_seed(0)), None
    sparse = whole * (whole.abs() > whole.abs().median())
    assert sparse.numel() * sparse.element_size() == whole.numel() * whole.element_size()
    assert packed({"weight": sparse}) < 0.75 * packed({"weight": whole})


@pytest.mark.parametrize("asked", [{"ratio": 0.5, "kind": "size"}, {"ratio": 1.0, "kind": "magnitude"}])
def test_what_cannot_be_ranked_or_taken_is_refused(asked):
    with pytest.raises(UsageError):
        masked(model(), passes=1, **asked)
    with pytest.raises(UsageError, match="large matrix"):
        masked(model(32), ratio=0.5, kind="magnitude", passes=1)
