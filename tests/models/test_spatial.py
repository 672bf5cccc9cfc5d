"""Pictures: every spatial trunk under every pooling and head, and patches on every other trunk."""

import json
from importlib.util import find_spec
from itertools import product

import pytest
import torch
from tests.models.test_contract import EVERY, SMALL
from torch.nn import functional as F

from underlay.core import BundleRefused, UsageError
from underlay.models import HEADS, POOLINGS, TRUNKS, Backbone, SignalModel, build, configure, is_spatial, resolve
from underlay.models.stems.image import ImageStem
from underlay.models.stems.picture import PictureStem
from underlay.models.trunks.planes import SameConv2d

HEIGHT, BREADTH, PATCH = 12, 20, 4
ROW_HEADS = sorted(set(HEADS) - {"tied.v1"})  # see test_tied.py
SPATIAL = {
    "efficientnet.v1": {"first": 8, "stages": [[1, 3, 1, 1, 8], [2, 5, 2, 6, 16]], "width": 24},
    "residual.v1": {"stages": [[1, 8], [2, 16]], "width": 16, "groups": 4},
}
if find_spec("transformers") is not None:  # the extra hf; see tests/parity/test_foreign.py
    SPATIAL |= {
        "batchnorm-resnet.v1": {"first": 8, "stages": [[2, 16], [1, 32]], "width": 32},
        "convnext.v1": {"patch": 4, "stages": [[1, 8], [2, 16]], "width": 16},
    }
PATCHES = {
    "name": "image.v1",
    "height": HEIGHT,
    "breadth": BREADTH,
    "patch": PATCH,
    "class_token": False,
    "limit": 15,
    "picture": {
        "name": "picture.v1",
        "height": HEIGHT,
        "breadth": BREADTH,
        "channels": 3,
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2],
    },
}
WITH_TOKEN = {**PATCHES, "class_token": True, "limit": 16}


def pictures(rows: int = 4, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, HEIGHT, BREADTH, 3), dtype=torch.uint8, generator=generator)


def inputs(pixels):
    return {"photo": {"pixels": pixels}}


def make(trunk, described=PATCHES, pooling="mean", head="linear", *, seed=0, **more) -> SignalModel:
    sizes = SPATIAL[trunk] if trunk in SPATIAL else SMALL[trunk]
    config = configure(
        Backbone("small", {"name": trunk, **sizes, **more}),
        columns={"photo": described},
        outputs={"label": 3},
        pooling=pooling,
        head=head,
    )
    model = build(json.loads(json.dumps(config, sort_keys=True)), seed=seed)
    with torch.no_grad():  # the small first values of a head would hide a leak between rows below the tolerance
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def test_every_spatial_trunk_is_covered_here():
    assert set(SPATIAL) == {name for name in TRUNKS if is_spatial(name)}


@pytest.mark.parametrize(("trunk", "pooling", "head"), list(product(SPATIAL, POOLINGS, ROW_HEADS)))
def test_a_row_gives_the_same_alone_and_among_others(trunk, pooling, head):
    model = make(trunk, pooling=pooling, head=head)
    pixels = pictures()
    with torch.no_grad():
        together = model(inputs(pixels)).logits["label"]
        alone = torch.cat([model(inputs(pixels[row : row + 1])).logits["label"] for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)
    assert together.std(dim=0).min() > 1e-4  # it does look at its input
    assert not list(model.buffers())  # a running statistic would remember rows of before


@pytest.mark.parametrize("trunk", SPATIAL)
def test_no_row_depends_on_the_others_in_training_either(trunk):
    backbone = Backbone("small", {"name": trunk, **SPATIAL[trunk]})
    config = configure(backbone, columns={"photo": PATCHES}, outputs={"label": 3}, dropout=0.0)
    model, pixels = build(config, seed=0).train(), pictures()
    together = model(inputs(pixels)).logits["label"]
    alone = torch.cat([model(inputs(pixels[row : row + 1])).logits["label"] for row in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("trunk", "pooling", "head"), list(product(SPATIAL, POOLINGS, ROW_HEADS)))
def test_every_parameter_learns_and_every_state_comes_back(trunk, pooling, head):
    model = make(trunk, pooling=pooling, head=head).train()
    torch.manual_seed(0)
    model(inputs(pictures(8))).logits["label"].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0 or name.endswith("score.bias"), name
    again = make(trunk, pooling=pooling, head=head, seed=7)
    again.load_state_dict(model.state_dict())
    model.eval()
    with torch.no_grad():
        assert torch.equal(again(inputs(pictures())).logits["label"], model(inputs(pictures())).logits["label"])


@pytest.mark.parametrize("trunk", SPATIAL)
def test_cached_activations_enter_at_any_layer(trunk):
    model, pixels = make(trunk), inputs(pictures())
    with torch.no_grad():
        whole = model(pixels)
        for start in range(model.depth + 1):
            lower = model.lower(pixels, start)
            assert lower.dim() == 3
            rest = model.encode(lower, None, start=start)
            torch.testing.assert_close(rest.logits["label"], whole.logits["label"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("trunk", SPATIAL)
def test_layer_of_counts_from_the_first_convolution_to_the_head(trunk):
    model = make(trunk)
    layers = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert all(path.startswith(("trunk.layers.", "heads.")) for path in layers)
    assert set(layers.values()) == set(range(1, model.depth + 2))
    assert {layer for name, layer in layers.items() if name.startswith("trunk.layers.2.")} == {3}


@pytest.mark.parametrize("trunk", SPATIAL)
def test_places_and_width_are_as_the_trunk_says(trunk):
    model = make(trunk)
    hidden = model(inputs(pictures())).hidden
    assert hidden.shape == (4, model.trunk.positions, model.trunk.width)
    assert model.output_mask(inputs(pictures())).shape == hidden.shape[:2]


@pytest.mark.parametrize("trunk", SPATIAL)
def test_where_a_thing_stands_in_the_picture_matters(trunk):
    model, pixels = make(trunk, pooling="max"), pictures(1)
    with torch.no_grad():
        seen, mirrored = (model(inputs(one)).logits["label"] for one in (pixels, pixels.flip(2)))
    assert (seen - mirrored).abs().max() > 1e-4


@pytest.mark.parametrize("trunk", SPATIAL)
def test_the_seed_decides_every_first_value(trunk):
    first, same, other = (make(trunk, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert all(
        not torch.equal(first[name], other[name])
        for name in first
        if name.endswith(".weight") and first[name].dim() > 1
    )


@pytest.mark.parametrize("described", [PATCHES, WITH_TOKEN])
@pytest.mark.parametrize("variant", EVERY)
def test_patches_stand_on_every_sequence_trunk(variant, described):
    model = make(variant[0], described, **variant[1])
    pixels = pictures()
    with torch.no_grad():
        output = model(inputs(pixels))
        alone = torch.cat([model(inputs(pixels[row : row + 1])).logits["label"] for row in range(4)])
    torch.testing.assert_close(output.logits["label"], alone, rtol=0, atol=2e-5)
    assert output.hidden.shape == (4, described["limit"], 12)
    assert model.mask(inputs(pixels)) is None
    model.train()
    model(inputs(pixels)).logits["label"].square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_patch_is_read_channel_by_channel_and_row_by_row():
    stem = ImageStem(height=4, breadth=6, patch=2, width=12, norm_eps=None, dropout=0.0)
    with torch.no_grad():
        stem.patches.weight.copy_(torch.eye(12))
        stem.patches.bias.zero_()
    pixels = pictures(1)[:, :4, :6]
    seen = stem({"pixels": pixels})[0]
    scaled = pixels[0].float() / 127.5 - 1
    for place in range(6):
        row, column = divmod(place, 3)
        patch = scaled[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        torch.testing.assert_close(seen[place], patch.permute(2, 0, 1).flatten())


def test_a_spatial_trunk_reads_bytes_floats_and_one_channel():
    stem = PictureStem(height=3, breadth=4, channels=3, mean=[0.5, 0.4, 0.3], std=[0.2])
    pixels = torch.randint(0, 256, (2, 3, 4, 3), dtype=torch.uint8)
    wanted = (pixels.float() / 255 - torch.tensor([0.5, 0.4, 0.3])) / 0.2
    torch.testing.assert_close(stem({"pixels": pixels}), wanted.flatten(1, 2))
    grey = torch.randn(2, 3, 4)
    for given in (grey, grey.unsqueeze(-1)):
        seen = stem({"pixels": given})
        torch.testing.assert_close(seen[:, :, 1], ((grey - 0.4) / 0.2).flatten(1))
    assert stem.size({"pixels": pixels}) == (2, 12)
    with pytest.raises(ValueError, match=r"reads \[3, 4, 3\]"):
        stem({"pixels": pixels.transpose(1, 2)})


def test_pixels_are_dropped_only_where_it_is_asked_for():
    stem = PictureStem(height=20, breadth=20, channels=3, mean=[0.5], std=[0.5], dropout=0.5).train()
    seen = stem({"pixels": torch.full((1, 20, 20, 3), 255, dtype=torch.uint8)})
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    assert 0.3 < seen.mean() < 0.7
    torch.testing.assert_close(seen[:, :, 0], seen[:, :, 2])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [(7, 8), (12, 5), (1, 2)])
def test_padding_is_that_of_tensorflow(size, kernel, stride):
    layer = SameConv2d(2, 3, kernel, stride=stride)
    planes = torch.randn(1, 2, *size)
    pad = []
    for side in reversed(size):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pad += [total // 2, total - total // 2]
    wanted = F.conv2d(F.pad(planes, pad), layer.weight, layer.bias, stride)
    seen = layer(planes)
    assert tuple(seen.shape[2:]) == tuple(-(-side // stride) for side in size)
    torch.testing.assert_close(seen, wanted)


def test_residual_blocks_are_skipped_for_some_rows_in_training_only():
    model = make("efficientnet.v1")
    block, planes = model.trunk.layers[3], torch.rand(64, 16, 3, 5)
    assert block.residual
    assert block.skip > 0
    torch.manual_seed(0)
    with torch.no_grad():
        skipped = (block.train()(planes) == planes).flatten(1).all(1)
        assert 0 < int(skipped.sum()) < 32
        assert not (block.eval()(planes) == planes).flatten(1).all(1).any()


@pytest.mark.parametrize(
    ("trunk", "change"),
    [
        ("residual.v1", {"stages": []}),
        ("residual.v1", {"stages": [[1, 6]]}),
        ("residual.v1", {"stages": [[1, 16, 2]]}),
        ("residual.v1", {"width": 8}),
        ("residual.v1", {"stages": [[100_000, 16]]}),
        ("efficientnet.v1", {"stages": [[1, 4, 1, 1, 8]]}),
        ("efficientnet.v1", {"stages": [[1, 3, 0, 1, 8]]}),
        ("efficientnet.v1", {"stages": [[1, 3, 1, 1]]}),
        ("efficientnet.v1", {"stages": [[1 << 20, 3, 1, 1, 8]]}),
        ("efficientnet.v1", {"channels": 0}),
    ],
)
def test_sizes_that_no_network_has_are_refused_before_they_are_made(trunk, change):
    sizes = {**SPATIAL[trunk], **change}
    with pytest.raises((BundleRefused, ValueError)):
        build(
            configure(Backbone("odd", {"name": trunk, **sizes}), columns={"photo": PATCHES}, outputs={"label": 2}),
            seed=0,
        )


def test_a_spatial_trunk_reads_one_column_of_pictures():
    backbone = resolve("resnet")
    assert backbone.suggests["image"]["most"] == 64
    words = {"name": "text.v1", "vocabulary": 40, "padding": 0, "limit": 16}
    for columns in ({"photo": PATCHES, "other": PATCHES}, {"title": words}):
        with pytest.raises(UsageError, match="reads one column of pictures"):
            configure(backbone, columns=columns, outputs={"label": 2})
