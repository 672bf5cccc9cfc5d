"""Our transformer trunk and patch stem compute what `transformers` computes with a ViT's weights, to 1e-5."""

import json

import numpy as np
import pytest
import torch

from underlay.core import CheckpointRefused, UsageError
from underlay.modalities import Image
from underlay.models import build, configure, resolve

transformers = pytest.importorskip("transformers")

SIDE, PATCH = 12, 4
PREPARED = {"do_rescale": True, "rescale_factor": 1 / 255, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(3)
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        image_size=SIDE,
        patch_size=PATCH,
        initializer_range=0.3,
        attn_implementation="eager",
    )
    model = transformers.ViTForImageClassification(config).eval()
    with torch.no_grad():  # they start at 0 or nearly so
        model.vit.embeddings.cls_token.normal_()
        model.vit.embeddings.position_embeddings.normal_()
    return model


@pytest.fixture
def folder(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def pixels(rows: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (rows, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator)


def fitted(backbone, **more):
    options = {**backbone.suggests["image"], **more}
    modality = Image.create(assets=backbone.assets, limit=backbone.limit, options=options)
    return modality.fit([np.full((20, 20, 3), 90, np.uint8)], np.random.default_rng(0))


def ours(folder):
    backbone = resolve(str(folder))
    described = fitted(backbone).describe()
    config = configure(backbone, columns={"image": described}, outputs={"label": 2}, pooling=backbone.pooling)
    model = build(json.loads(json.dumps(config)), seed=0)
    backbone.load(model)
    return model.eval()


@pytest.mark.parametrize("prepared", [None, PREPARED, {"do_normalize": False}])
def test_hidden_states_and_logits_are_those_of_transformers(folder, theirs, prepared):
    scaled = pixels().permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.5] * 3), torch.tensor([0.5] * 3)
    if prepared is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(prepared), encoding="utf-8")
        mean = torch.tensor(prepared.get("image_mean", [0.0] * 3))
        std = torch.tensor(prepared.get("image_std", [1.0] * 3))
    model = ours(folder)
    with torch.no_grad():
        given = (scaled - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
        expected = theirs.vit(given).last_hidden_state
        found = model({"image": {"pixels": pixels()}})
        torch.testing.assert_close(found.hidden, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(theirs.classifier(found.features), theirs(given).logits, rtol=0, atol=1e-5)


def test_every_trained_weight_is_in_its_place(folder):
    model = ours(folder)
    assert model.trained == frozenset(["image"])
    assert model.layer_of("stems.image.token") == 0
    fresh = build(
        configure(
            resolve(str(folder)),
            columns={"image": fitted(resolve(str(folder))).describe()},
            outputs={"label": 2},
            pooling="first",
        ),
        seed=0,
    ).state_dict()
    same = {name for name, tensor in model.state_dict().items() if torch.equal(tensor, fresh[name])}
    assert not {name for name in same if name.startswith(("stems.", "trunk.")) and not name.endswith("bias")} - {
        name
        for name in same
        if "norm" in name  # a random checkpoint's norms start as ours do
    }


def test_the_modality_reads_pictures_as_the_checkpoint_does(folder):
    backbone = resolve(str(folder))
    modality = fitted(backbone)
    assert modality.length(modality.encode(np.zeros((30, 40, 3), np.uint8))) == backbone.limit == 10
    other = fitted(backbone, size=16)
    with pytest.raises(UsageError, match="was trained with"):
        configure(backbone, columns={"image": other.describe()}, outputs={"label": 2})


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"num_channels": 1}),
        ("config.json", {"qkv_bias": False}),
        ("config.json", {"image_size": [12, 12]}),
        ("config.json", {"patch_size": 5}),
        ("config.json", {"use_swiglu_ffn": True}),
        ("preprocessor_config.json", {"rescale_factor": 1 / 127.5}),
        ("preprocessor_config.json", {"do_rescale": False}),
        ("preprocessor_config.json", {"image_std": [0.0, 1.0, 1.0]}),
        ("preprocessor_config.json", {"image_mean": "0.5"}),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(folder, file, change):
    path = folder / file
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **change}), encoding="utf-8")
    with pytest.raises(CheckpointRefused) as refused:
        resolve(str(folder))
    assert refused.value.code == "config_key"
