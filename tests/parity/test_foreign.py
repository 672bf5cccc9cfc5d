"""Layers of `transformers` in our trunks, and ELECTRA in our own: hidden states on the same weights, to 1e-5."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models

transformers = pytest.importorskip("transformers")
from underlay.core import CheckpointRefused, MissingExtra  # noqa: E402
from underlay.modalities import Image  # noqa: E402
from underlay.models import build, configure, resolve  # noqa: E402
from underlay.models.registries import TRUNKS, is_spatial  # noqa: E402

SIZES = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 40}
SIZES |= {"vocab_size": 120, "initializer_range": 0.3}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
DISTANCES = {"relative_attention": True, "position_buckets": 4, "max_position_embeddings": 32, "type_vocab_size": 0}
DISTANCES |= {"position_biased_input": False, "norm_rel_ebd": "layer_norm"}
THEIRS = {
    "deberta-v3": lambda: transformers.DebertaV2ForSequenceClassification(
        transformers.DebertaV2Config(**SIZES, **DISTANCES, share_att_key=True, pos_att_type=["p2c", "c2p"])
    ),
    "deberta-v2-xlarge": lambda: transformers.DebertaV2ForSequenceClassification(
        transformers.DebertaV2Config(
            **SIZES, **DISTANCES, pos_att_type="c2p|p2c", conv_kernel_size=3, conv_act="gelu", share_att_key=True
        )
    ),
    "deberta-own-projections": lambda: transformers.DebertaV2ForSequenceClassification(
        transformers.DebertaV2Config(
            **SIZES, **{**DISTANCES, "position_buckets": -1, "norm_rel_ebd": "none"}, pos_att_type=["c2p", "p2c"]
        )
    ),
    "albert": lambda: transformers.AlbertForSequenceClassification(
        transformers.AlbertConfig(**SIZES, embedding_size=10, max_position_embeddings=32)
    ),
    "albert-as-wide": lambda: transformers.AlbertForSequenceClassification(
        transformers.AlbertConfig(**SIZES, embedding_size=24, max_position_embeddings=32)
    ),
    "modernbert": lambda: transformers.ModernBertForSequenceClassification(
        transformers.ModernBertConfig(**SIZES, **SPECIAL, max_position_embeddings=32, local_attention=4)
    ),
    "electra": lambda: transformers.ElectraForSequenceClassification(
        transformers.ElectraConfig(**SIZES, embedding_size=10, max_position_embeddings=32)
    ),
    "electra-as-wide": lambda: transformers.ElectraForSequenceClassification(
        transformers.ElectraConfig(**SIZES, embedding_size=24, max_position_embeddings=32)
    ),
}
TEXTS = list(THEIRS)
LENGTHS = (9, 4, 9, 1, 7, 12)
SIDE = 40
NETS = {
    "resnet-18": lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[2, 2], layer_type="basic")
    ),
    "resnet-50": lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32, 48], depths=[1, 2, 2])
    ),
    "resnet-50-early": lambda: transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[16, 32],
            depths=[2, 2],
            downsample_in_bottleneck=True,
            downsample_in_first_stage=True,
        )
    ),
    "convnext": lambda: transformers.ConvNextForImageClassification(
        transformers.ConvNextConfig(hidden_sizes=[8, 12, 16], depths=[1, 2, 2], num_stages=3)
    ),
    "convnext-unscaled": lambda: transformers.ConvNextForImageClassification(
        transformers.ConvNextConfig(hidden_sizes=[8, 12], depths=[2, 1], num_stages=2, layer_scale_init_value=0.0)
    ),
}


def shaken(make):
    """The model with every parameter and statistic off its trivial first value."""
    torch.manual_seed(5)
    model = make()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
            if name.endswith("normalization.bias"):  # else a deep rectified network says nothing of any picture
                parameter.add_(0.2)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand(buffer.shape))
    return model.eval()


def save(model, folder, *, text=True):
    model.save_pretrained(folder)
    if text:
        words = models.WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")
        Tokenizer(words).save(str(folder / "tokenizer.json"))
    return folder


def built(backbone, described, pooling="mean"):
    config = configure(backbone, columns={"input": described}, outputs={"label": 2}, pooling=pooling)
    return build(json.loads(json.dumps(config)), seed=0)


def loaded(folder, described, **more):
    backbone = resolve(str(folder))
    model = built(backbone, described, **more)
    backbone.load(model)
    return model.eval()


def described(folder):
    backbone = resolve(str(folder))
    return {"name": "text.v1", "vocabulary": 120, "padding": backbone.stem["padding"], "limit": 32}


def padded():
    generator = torch.Generator().manual_seed(2)
    ids, mask = (torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.long) for _ in range(2))
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(3, 120, (length,), generator=generator)
        mask[row, :length] = 1
    return ids, mask


@pytest.mark.parametrize("kind", TEXTS)
def test_hidden_states_of_texts_are_those_of_transformers_padded_and_unpadded(kind, tmp_path):
    theirs = shaken(THEIRS[kind])
    model = loaded(save(theirs, tmp_path), described(tmp_path))
    ids, mask = padded()
    with torch.no_grad():
        found = model({"input": {"ids": ids, "mask": mask}}).hidden
        together = theirs.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(found[mask > 0], together[mask > 0], rtol=0, atol=1e-5)
        for row, length in enumerate(LENGTHS):
            expected = theirs.base_model(input_ids=ids[row : row + 1, :length]).last_hidden_state[0]
            torch.testing.assert_close(found[row, :length], expected, rtol=0, atol=1e-5)
            alone = model({"input": {"ids": ids[row : row + 1, :length], "mask": mask[row : row + 1, :length]}})
            torch.testing.assert_close(alone.hidden[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", TEXTS)
def test_gradients_of_texts_are_those_of_transformers(kind, tmp_path):
    theirs = shaken(THEIRS[kind])
    model = loaded(save(theirs, tmp_path), described(tmp_path))
    ids, mask = padded()
    weight = torch.randn(*ids.shape, 24, generator=torch.Generator().manual_seed(3)) * mask.unsqueeze(-1)
    (model({"input": {"ids": ids, "mask": mask}}).hidden * weight).sum().backward()
    (theirs.base_model(input_ids=ids, attention_mask=mask).last_hidden_state * weight).sum().backward()
    found, expected = model.stem("input").words.weight.grad, theirs.get_input_embeddings().weight.grad
    torch.testing.assert_close(found[1:], expected[1:], rtol=1e-4, atol=1e-4)
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if name.startswith("trunk"))


def pixels(rows=4):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (rows, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator)


def picture(folder):
    backbone = resolve(str(folder))
    options = {**backbone.suggests["image"], "size": SIDE}
    made = Image.create(assets={}, limit=None, options=options)
    return made.fit([np.full((50, 50, 3), 90, np.uint8)], np.random.default_rng(0)).describe()


@pytest.mark.parametrize("kind", NETS)
def test_what_a_picture_gives_is_what_it_gives_in_transformers(kind, tmp_path):
    theirs = shaken(NETS[kind])
    model = loaded(save(theirs, tmp_path, text=False), picture(tmp_path))
    mean, std = (torch.tensor(one).reshape(3, 1, 1) for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    given = (pixels().permute(0, 3, 1, 2).float() / 255 - mean) / std
    with torch.no_grad():
        expected = theirs.base_model(given).last_hidden_state
        inputs = {"input": {"pixels": pixels()}}
        last = model.depth - 1 if kind.startswith("convnext") else model.depth
        found = model.lower(inputs, last)
        torch.testing.assert_close(found, expected.flatten(2).transpose(1, 2), rtol=1e-5, atol=1e-5)
        alone = model.lower({"input": {"pixels": pixels()[:1]}}, last)
        torch.testing.assert_close(alone[0], found[0], rtol=1e-5, atol=1e-5)
        whole = model(inputs).hidden
        if kind.startswith("convnext"):  # theirs normalises the mean over places, ours each place
            expected = theirs.base_model.layernorm(expected.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(whole, expected.flatten(2).transpose(1, 2), rtol=1e-5, atol=1e-5)
        if kind.startswith("resnet"):
            logits = theirs.classifier(model(inputs).features.reshape(4, -1, 1, 1))
            torch.testing.assert_close(logits, theirs(given).logits, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


def test_every_foreign_trunk_is_compared_here(tmp_path):
    ours = {name for name in TRUNKS if ".trunks.foreign" in TRUNKS[name].__module__}
    found = set()
    for number, make in enumerate([*THEIRS.values(), *NETS.values()]):
        folder = tmp_path / str(number)
        found.add(resolve(str(save(shaken(make), folder))).trunk["name"])
    assert ours == found - {"transformer.v1"}
    assert {name for name in ours if is_spatial(name)} == {"batchnorm-resnet.v1", "convnext.v1"}


@pytest.mark.parametrize("kind", ["deberta-v3", "albert", "modernbert", "resnet-18", "convnext"])
def test_without_transformers_the_extra_is_named(kind, tmp_path, monkeypatch):
    text = kind in THEIRS
    save(shaken(THEIRS.get(kind) or NETS[kind]), tmp_path, text=text)
    described_as = described(tmp_path) if text else picture(tmp_path)
    backbone = resolve(str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"underlay\[hf\]"):
        built(backbone, described_as)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("deberta-v3", {"relative_attention": False}),
        ("deberta-v3", {"position_biased_input": True}),
        ("deberta-v3", {"pos_att_type": ["p2p"]}),
        ("deberta-v3", {"conv_act": "tanh", "conv_kernel_size": 3}),
        ("deberta-v3", {"embedding_size": 12}),
        ("deberta-v3", {"position_buckets": "4"}),
        ("deberta-v3", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("albert", {"num_hidden_groups": 2}),
        ("albert", {"inner_group_num": 2}),
        ("modernbert", {"norm_bias": True}),
        ("modernbert", {"layer_types": ["full_attention", "linear"]}),
        ("modernbert", {"local_attention": 0}),
        ("modernbert", {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1.0}}}),
        ("resnet-18", {"depths": [1, 2, 3]}),
        ("resnet-18", {"layer_type": "preact"}),
        ("resnet-18", {"num_channels": 1}),
        ("resnet-18", {"hidden_act": "mish"}),
        ("convnext", {"num_stages": 4}),
        ("convnext", {"patch_size": [4, 4]}),
    ],
)
def test_a_setting_that_would_change_the_computation_is_refused(kind, change, tmp_path):
    save(shaken(THEIRS.get(kind) or NETS[kind]), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(CheckpointRefused, match=next(iter(change))) as refused:
        resolve(str(tmp_path))
    assert refused.value.code == "config_key"


def test_older_files_of_modernbert_say_it_in_other_words(tmp_path):
    save(shaken(THEIRS["modernbert"]), tmp_path)
    path = tmp_path / "config.json"
    before, settings = resolve(str(tmp_path)).trunk, json.loads(path.read_text(encoding="utf-8"))
    for name in ("layer_types", "rope_parameters"):
        del settings[name]
    settings |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0, "local_rope_theta": 10_000.0}
    path.write_text(json.dumps(settings), encoding="utf-8")
    assert resolve(str(tmp_path)).trunk == before
    assert before["windows"] == [0, 2, 2, 0]


@pytest.mark.parametrize("kind", ["deberta-v3", "albert", "modernbert", "resnet-18", "convnext"])
def test_a_weight_that_is_missing_is_told_and_never_left_to_chance(kind, tmp_path):
    from safetensors.torch import load_file, save_file

    text = kind in THEIRS
    save(shaken(THEIRS.get(kind) or NETS[kind]), tmp_path, text=text)
    tensors = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in sorted(tensors) if "layers.0" in name or "layer.0" in name or "groups.0" in name)
    del tensors[gone]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointRefused) as refused:
        loaded(tmp_path, described(tmp_path) if text else picture(tmp_path))
    assert refused.value.code == "weights_names"
