"""The layers we wrote for speed compute what PyTorch's own compute."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from underlay.models.dropout import Dropout
from underlay.models.linear import Linear
from underlay.models.trunks.packing import Packing


def pair(inside=8, outside=6, bias=True):
    ours, theirs = Linear(inside, outside, bias=bias), nn.Linear(inside, outside, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 300])
def test_linear_gives_values_and_gradients_of_first_and_second_order_of_torch(rows, bias):
    torch.manual_seed(0)
    rows = torch.randn(rows, 8, requires_grad=True)
    found = []
    for layer in pair(bias=bias):
        layer = layer.train()
        value = layer(rows)
        (first,) = torch.autograd.grad(value.tanh().sum(), rows, create_graph=True)
        parameters = [rows, *layer.parameters()]
        found.append([value, first, *torch.autograd.grad(first.square().sum() + value.sum(), parameters)])
        layer.zero_grad()
    # fp32 sums in another order: a few units in the last place
    torch.testing.assert_close(found[0], found[1], rtol=2e-5, atol=2e-5)


def test_linear_takes_any_shape_type_and_frozen_weights():
    ours, theirs = pair()
    for rows in (torch.randn(2, 3, 8), torch.randn(8), torch.randn(0, 8), torch.randn(7, 16)[:, ::2]):
        torch.testing.assert_close(ours(rows), theirs(rows), rtol=1e-5, atol=1e-5)
    ours.requires_grad_(False)
    rows = torch.randn(4, 8, requires_grad=True)
    ours(rows).sum().backward()
    assert rows.grad is not None
    assert ours.weight.grad is None
    assert ours.double()(torch.randn(4, 8, dtype=torch.float64)).dtype is torch.float64


def test_linear_follows_autocast_and_export():
    ours, _ = pair()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(torch.randn(4, 8)).dtype is torch.bfloat16
    exported = torch.export.export(ours, (torch.randn(4, 8),))
    assert not any("mkldnn" in str(node.target) for node in exported.graph.nodes)


@pytest.mark.parametrize("form", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_is_unbiased_and_drops_its_rate_to_a_step(rate, form):
    torch.manual_seed(0)
    layer, ones = Dropout(rate), torch.ones(1000, 1001, requires_grad=True, dtype=form)
    dropped = layer(ones)
    share = float((dropped == 0).float().mean())
    assert abs(share - rate) < 1 / 512 + 0.002
    assert abs(float(dropped.detach().float().mean()) - 1) < 0.005
    dropped.sum().backward()
    assert torch.equal(ones.grad, dropped.detach())  # what was dropped learns nothing


def test_dropout_repeats_by_the_seed_and_rests_in_evaluation():
    layer, ones = Dropout(0.3), torch.ones(13, 7)
    first, second = ([torch.manual_seed(4), layer(ones)][1] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(layer.eval()(ones), ones)
    assert torch.equal(Dropout(0.0)(ones), ones)
    assert float(Dropout(1.0)(ones).sum()) == 0


masks = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(segments=masks, left=st.booleans())
def test_packing_loses_no_position_and_mixes_no_sequence(segments, left):
    """Rows of 1 to 4 segments of 1 to 4 positions, padded on either side."""
    rows = [[part + 1 for part, size in enumerate(row[:4]) for _ in range(size)] for row in segments]
    length = max(map(len, rows))
    padding = [[0] * (length - len(row)) for row in rows]
    mask = torch.tensor([[*pad, *row] if left else [*row, *pad] for row, pad in zip(rows, padding, strict=True)])
    packing = Packing.of(mask)
    signal = torch.arange(1.0, mask.numel() + 1).view(*mask.shape, 1) * (mask > 0).unsqueeze(-1)
    packed = packing.pack(signal)
    assert torch.equal(packing.unpack(packed), signal)
    assert torch.equal(packing.flatten(packing.pad(packed)), packed)
    owners = packing.pack((mask + 10 * torch.arange(len(rows)).unsqueeze(1)).unsqueeze(-1).float()).squeeze(-1)
    sequences = owners.split(packing.lengths().tolist())
    assert all((sequence == sequence[0]).all() for sequence in sequences)
    assert len({float(sequence[0]) for sequence in sequences}) == len(sequences)
    assert all((part.diff() > 0).all() for part in packed.squeeze(-1).split(packing.lengths().tolist()))
