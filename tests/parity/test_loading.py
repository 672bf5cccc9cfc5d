"""A stranger's checkpoint is data: it is read by an allow-list, checked, or refused with the reason."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from underlay.core import CheckpointRefused, ServiceAway, UsageError
from underlay.core.wheels import sha256_of
from underlay.models import build, configure, resolve

COLUMN = {"name": "text.v1", "vocabulary": 120, "padding": 0, "limit": 32}


def edit(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **settings}), encoding="utf-8")


def load(folder):
    backbone = resolve(str(folder))
    model = build(configure(backbone, columns={"text": COLUMN}, outputs={"label": 2}), seed=0)
    backbone.load(model)
    return model


def retensor(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_backbone_says_what_it_is(checkpoint):
    folder = checkpoint("bert")
    backbone = resolve(str(folder))
    assert backbone.digest == sha256_of(folder / "model.safetensors")
    assert backbone.limit == 32
    assert backbone.assets["tokenizer.json"] == (folder / "tokenizer.json").read_bytes()
    assert json.loads(json.dumps([backbone.stem, backbone.trunk]))[0]["vocabulary"] == 120


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("hidden_act", "mish"),
        ("auto_map", {"AutoModel": "modeling_evil.Model"}),
        ("quantization_config", {"bits": 4}),
        ("embedding_size", 128),
        ("sparse_attention_window", 3),
        ("hidden_size", None),
        ("num_hidden_layers", "3"),
    ],
)
def test_a_setting_that_would_change_the_computation_is_refused_by_its_name(checkpoint, setting, value):
    folder = checkpoint("bert")
    edit(folder, **{setting: value})
    with pytest.raises(CheckpointRefused, match=setting) as refused:
        resolve(str(folder))
    assert refused.value.exit_code == 4


def test_every_problem_of_a_config_is_told_at_once(checkpoint):
    folder = checkpoint("gpt2")
    edit(folder, scale_attn_weights=False, rope_theta=1e6)
    with pytest.raises(CheckpointRefused, match=r"scale_attn_weights.*rope_theta"):
        resolve(str(folder))


def test_another_architecture_is_refused_with_the_known_ones(checkpoint):
    folder = checkpoint("bert")
    edit(folder, model_type="mamba")
    with pytest.raises(CheckpointRefused, match=r"'mamba'.*distilbert"):
        resolve(str(folder))


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00\x01", '"' + "a" * 2_000_000 + '"'])
def test_a_config_that_is_none_is_refused(checkpoint, content):
    folder = checkpoint("bert")
    (folder / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointRefused, match=r"config\.json"):
        resolve(str(folder))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_file_missing_is_refused_and_told_how_to_save_one(checkpoint, file):
    folder = checkpoint("bert")
    (folder / file).unlink()
    with pytest.raises(CheckpointRefused, match=rf"no {file}.*save_pretrained"):
        resolve(str(folder))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("bert.encoder.layer.1.output.dense.bias"), r"missing.*layer\.1\.output\.dense\.bias"),
        (lambda t: t.update({"bert.encoder.layer.7.output.dense.bias": torch.zeros(24)}), r"not expected.*layer\.7"),
        (lambda t: t["bert.embeddings.word_embeddings.weight"].fill_(torch.nan), "NaN"),
        (lambda t: t.update({"bert.embeddings.word_embeddings.weight": torch.zeros(119, 24)}), r"\[119, 24\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(checkpoint, change, reason):
    folder = checkpoint("bert")
    retensor(folder, change)
    with pytest.raises(CheckpointRefused, match=reason):
        load(folder)


def test_a_cut_weight_file_is_refused(checkpoint):
    folder = checkpoint("bert")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointRefused, match="cannot be read"):
        load(folder)


def test_half_precision_weights_load_as_single(checkpoint):
    folder = checkpoint("bert")
    retensor(folder, lambda t: t.update({name: tensor.half() for name, tensor in t.items()}))
    assert {parameter.dtype for parameter in load(folder).parameters()} == {torch.float32}


def test_the_oldest_names_of_a_norm_are_understood(checkpoint):
    folder, plain = checkpoint("bert"), load(checkpoint("bert")).state_dict()

    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)

    retensor(folder, age)
    aged = load(folder).state_dict()
    assert all(torch.equal(plain[name], aged[name]) for name in plain)


def test_another_vocabulary_or_longer_segments_than_the_trained_ones_are_refused(checkpoint):
    backbone = resolve(str(checkpoint("bert")))
    with pytest.raises(UsageError, match="vocabulary 121"):
        configure(backbone, columns={"text": {**COLUMN, "vocabulary": 121}}, outputs={"label": 2})
    with pytest.raises(UsageError, match="reads 32"):
        configure(backbone, columns={"text": {**COLUMN, "limit": 33}}, outputs={"label": 2})
    with pytest.raises(UsageError, match="depth"):
        resolve(backbone.name, options={"depth": 2})


@pytest.mark.row("F46")
def test_a_damaged_cache_is_refused_with_the_path_to_delete(tmp_path, monkeypatch):
    weights = resolve("minilm").weights
    folder = tmp_path / weights.parent.name
    shutil.copytree(weights.parent, folder)
    cut = folder / weights.name
    cut.write_bytes(cut.read_bytes()[: 1 << 20])
    monkeypatch.setenv("UNDERLAY_CACHE", str(tmp_path))
    with pytest.raises(CheckpointRefused, match=f"delete {cut}") as refused:
        resolve("minilm")
    assert refused.value.exit_code == 4


@pytest.mark.row("F46")
def test_offline_nothing_is_fetched_and_the_message_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERLAY_CACHE", str(tmp_path))
    monkeypatch.setenv("UNDERLAY_OFFLINE", "1")
    with pytest.raises(UsageError, match="UNDERLAY_OFFLINE"):
        resolve("minilm")
    with pytest.raises(ServiceAway, match=r"no-such-owner/no-such-model.*UNDERLAY_OFFLINE.*local folder"):
        resolve("hf:no-such-owner/no-such-model")
    assert os.listdir(tmp_path) == []
