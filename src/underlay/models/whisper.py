"""Whisper checkpoints: the encoder, on our transformer trunk.

Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, ICML 2023.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.family import Family, Sources, layer_sources, same

_PLAIN = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "do_normalize": False, "dither": 0.0}
"""What the front `whisper` computes; a checkpoint that says otherwise was trained on another spectrum."""


def logmel_stem(given: Mapping[str, Any], _settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Arguments of the stem `logmel.v1`, and how many positions it gives."""
    positions = given["positions"]
    sizes = {"mels": given["mels"], "frames": 2 * positions, "width": given["width"], "positions": positions}
    return {"name": "logmel.v1", **sizes, "norm_eps": None}, positions


def front(stem: Mapping[str, Any] | None, prepared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How recordings are read.

    Raises:
        CheckpointRefused: `preprocessor_config.json` asks for another spectrum.
    """
    assert stem is not None
    wanted = {**_PLAIN, "feature_size": stem["mels"]}
    problems = [
        f"{key} = {prepared[key]!r} (only {value!r} is known)"
        for key, value in wanted.items()
        if prepared.get(key, value) != value
    ]
    if problems:
        raise CheckpointRefused(
            f"preprocessor_config.json asks for another spectrum: {'; '.join(problems)}",
            "take it from the same checkpoint as config.json",
            code="config_key",
        )
    return {"audio": {"front": {"kind": "whisper", "mels": stem["mels"], "frames": stem["frames"]}}}


def _unbiased_key(query: Tensor, value: Tensor) -> Tensor:
    """Biases of query, key and value, of which the key has none."""
    return torch.cat((query, torch.zeros_like(query), value))


def _sources(depth: int, _first: int) -> Sources:
    sources: Sources = {"places.weight": (["embed_positions.weight"], same)}
    for part in ("weight", "bias"):
        sources[f"entry.{part}"] = ([f"conv1.{part}"], same)
        sources[f"halving.{part}"] = ([f"conv2.{part}"], same)
        sources[f"final_norm.{part}"] = ([f"layer_norm.{part}"], same)
    sources |= layer_sources(
        depth,
        "layers",
        {
            "attention_norm": ["self_attn_layer_norm"],
            "attention.qkv": [f"self_attn.{kind}_proj" for kind in "qkv"],
            "attention.out": ["self_attn.out_proj"],
            "feed_forward_norm": ["final_layer_norm"],
            "feed_forward.up": ["fc1"],
            "feed_forward.down": ["fc2"],
        },
    )
    for number in range(depth):
        biases = [f"layers.{number}.self_attn.{kind}_proj.bias" for kind in "qv"]
        sources[f"layers.{number}.attention.qkv.bias"] = (biases, _unbiased_key)
    return sources


WHISPER = Family(
    prefix="encoder.",
    read={
        "d_model": "width",
        "encoder_layers": "depth",
        "encoder_attention_heads": "heads",
        "encoder_ffn_dim": "inner",
        "activation_function": "activation",
        "num_mel_bins": "mels",
        "max_source_positions": "positions",
        "layer_norm_eps": "norm_eps",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
    },
    default={
        "activation_function": "gelu",
        "layer_norm_eps": 1e-5,  # PyTorch's own: Whisper has no such key
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
    fixed={"scale_embedding": False},
    trunk={"norm": "pre", "final_norm": True},
    normed_stem=False,
    skipped=("decoder.", "proj_out.", "projector.", "classifier.", "layer_weights"),
    sources=_sources,
    stem=logmel_stem,
    assets=(),
    reads=front,
    outer="model.",
    harmless=frozenset(
        {"activation_dropout", "apply_spec_augment", "begin_suppress_tokens", "classifier_proj_size"}
        | {"decoder_attention_heads", "decoder_ffn_dim", "decoder_layerdrop", "decoder_layers"}
        | {"decoder_start_token_id", "encoder_layerdrop", "forced_decoder_ids", "init_std", "is_encoder_decoder"}
        | {"mask_feature_length", "mask_feature_min_masks", "mask_feature_prob", "mask_time_length"}
        | {"mask_time_min_masks", "mask_time_prob", "max_length", "max_target_positions", "median_filter_width"}
        | {"num_hidden_layers", "suppress_tokens", "use_weighted_layer_sum", "vocab_size", "alignment_heads"}
    ),
)
