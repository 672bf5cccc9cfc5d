"""Checkpoints of text encoders whose layers are those of `transformers`: DeBERTa v2 and v3, ALBERT, ModernBERT."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.family import ACTIVATIONS, SECOND, TEXT_KEYS, Family, Sources, encoder_defaults, moved, same

_SIZES = ("width", "depth", "heads", "inner", "norm_eps")


def _refused(problems: list[str]) -> CheckpointRefused:
    return CheckpointRefused(
        f"config.json asks for what this trunk does not compute: {'; '.join(problems)}",
        "choose a checkpoint of the plain architecture",
        code="config_key",
    )


def _ordered_stem(given: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Word vectors alone: positions enter in the layers."""
    return {
        "name": "text.v1",
        "vocabulary": given["vocabulary"],
        "padding": int(settings.get("pad_token_id") or 0),
        "width": given["width"],
        "norm_eps": given["norm_eps"],
    }, given["positions"]


def _deberta_stem(given: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    if settings.get("embedding_size", given["width"]) != given["width"]:
        raise _refused([f"embedding_size = {settings['embedding_size']!r} is not hidden_size"])
    return _ordered_stem(given, settings)


def _deberta_shape(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    attends = settings.get("pos_att_type") or []
    attends = [one.strip() for one in attends.lower().split("|")] if isinstance(attends, str) else list(attends)
    farthest, buckets = settings.get("max_relative_positions", -1), settings.get("position_buckets", -1)
    kernel, norms = settings.get("conv_kernel_size", 0), str(settings.get("norm_rel_ebd", "none")).lower().split("|")
    numbers = (farthest, buckets, kernel)
    if not set(attends) <= {"c2p", "p2c"} or not all(type(one) is int for one in numbers):
        names = "max_relative_positions, position_buckets, conv_kernel_size"
        raise _refused([f"pos_att_type = {attends}; {names} = {numbers}"])
    if kernel and settings.get("conv_act", "tanh") != "gelu":
        raise _refused([f"conv_act = {settings.get('conv_act', 'tanh')!r} (only 'gelu' is known)"])
    return {
        "name": "deberta.v1",
        **{key: given[key] for key in _SIZES},
        "activation": ACTIVATIONS[given["activation"]],
        "buckets": max(0, buckets),
        "farthest": farthest if farthest > 0 else given["positions"],
        "attends": attends,
        "shared_key": bool(settings.get("share_att_key", False)),
        "normed": "layer_norm" in [one.strip() for one in norms],
        "kernel": kernel,
    }


def _deberta_located(_trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    found = list(names)
    kept = [name for name in found if name.startswith("encoder.") and not name.startswith("encoder.layer.")]
    layers = moved(found, {"encoder.layer.": "layers."})
    words = {"embeddings.word_embeddings.": "words.", "embeddings.LayerNorm.": "norm."}
    return {**layers, **moved(found, words), **moved(kept, {"encoder.": "encoder."})}


DEBERTA = Family(
    prefix="deberta.",
    read=TEXT_KEYS,
    default=encoder_defaults(norm_eps=1e-7, dropout=0.1),
    fixed={"relative_attention": True, "position_biased_input": False, "type_vocab_size": 0},
    trunk={},
    normed_stem=True,
    skipped=(
        "pooler.",
        "classifier.",
        "cls.",
        "lm_predictions.",
        "mask_predictions.",
        "qa_outputs.",
        "embeddings.position_ids",
        "embeddings.position_embeddings.",
    ),
    stem=_deberta_stem,
    shape=_deberta_shape,
    located=_deberta_located,
    harmless=frozenset(
        {"pos_att_type", "max_relative_positions", "position_buckets", "norm_rel_ebd", "share_att_key", "legacy"}
        | {"conv_kernel_size", "conv_act", "embedding_size", "pooler_dropout", "pooler_hidden_act"}
        | {"pooler_hidden_size", "cls_dropout", "vocab_type"}
    ),
)


def _albert_shape(given: Mapping[str, Any], _settings: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {key: given[key] for key in _SIZES}
    return {"name": "albert.v1", **sizes, "activation": ACTIVATIONS[given["activation"]]}


def _albert_sources(_depth: int, _first: int) -> Sources:
    places = ["embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"]
    # every position of a plain text has token type 0: its vector joins the position's once and for all
    return {
        "places.weight": (places, lambda table, kinds: table + kinds[0]),
        f"{SECOND}places.weight": (places, lambda table, kinds: table + kinds[min(1, len(kinds) - 1)]),
    }


def _albert_located(_trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    return moved(
        names,
        {
            "embeddings.word_embeddings.": "words.",
            "embeddings.LayerNorm.": "norm.",
            "encoder.embedding_hidden_mapping_in.": "project.",
            "encoder.albert_layer_groups.": "layers.",
        },
    )


def _albert_stem(given: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    stem, limit = _ordered_stem(given, settings)
    # its projection is there where both widths are one, too
    return {**stem, "narrow": given["narrow"], "positions": limit}, limit


ALBERT = Family(
    prefix="albert.",
    read={**TEXT_KEYS, "embedding_size": "narrow", "type_vocab_size": "kinds"},
    default={**encoder_defaults(activation="gelu_new"), "type_vocab_size": 2},
    fixed={"num_hidden_groups": 1, "inner_group_num": 1, "position_embedding_type": "absolute"},
    trunk={},
    normed_stem=True,
    skipped=("pooler.", "predictions.", "sop_classifier.", "classifier.", "qa_outputs.", "embeddings.position_ids"),
    sources=_albert_sources,
    stem=_albert_stem,
    shape=_albert_shape,
    located=_albert_located,
    harmless=frozenset({"classifier_dropout_prob", "down_scale_factor", "gap_size", "net_structure_type"})
    | frozenset({"num_memory_blocks"}),
)


def _modernbert_shape(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    every, depth = settings.get("global_attn_every_n_layers", 3), given["depth"]
    kinds = settings.get("layer_types") or [
        "sliding_attention" if number % every else "full_attention" for number in range(depth)
    ]
    turns = settings.get("rope_parameters") or {}
    bases = {
        "full_attention": settings.get("global_rope_theta", 160_000.0),
        "sliding_attention": settings.get("local_rope_theta", 10_000.0),
    }
    problems = []
    for kind, base in list(bases.items()):
        turn = turns.get(kind) or {}
        bases[kind] = turn.get("rope_theta", base)
        if turn.get("rope_type", "default") != "default" or set(turn) - {"rope_type", "rope_theta"}:
            problems.append(f"rope_parameters of {kind} = {turn}")
    if len(kinds) != depth or set(kinds) - set(bases) or set(turns) - set(bases):
        problems.append(f"layer_types = {kinds}")
    if not all(isinstance(base, int | float) and base > 0 for base in bases.values()):
        problems.append(f"rope_theta = {bases}")
    if type(local := settings.get("local_attention", 128)) is not int or local < 2:
        problems.append(f"local_attention = {local!r}")
    if problems:
        raise _refused(problems)
    return {
        "name": "modernbert.v1",
        **{key: given[key] for key in _SIZES},
        "activation": ACTIVATIONS[given["activation"]],
        "windows": [local // 2 if kind == "sliding_attention" else 0 for kind in kinds],
        "base": float(bases["full_attention"]),
        "near_base": float(bases["sliding_attention"]),
    }


def _modernbert_sources(_depth: int, _first: int) -> Sources:
    norm = ["embeddings.norm.weight"]
    return {"norm.weight": (norm, same), "norm.bias": (norm, _no_bias)}


def _no_bias(weight: Tensor) -> Tensor:
    """Its norms have none."""
    return torch.zeros_like(weight)


def _modernbert_located(_trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    kept = {"layers.": "layers.", "final_norm.": "final_norm.", "embeddings.tok_embeddings.": "words."}
    return moved(names, kept)


MODERNBERT = Family(
    prefix="model.",
    read={
        "vocab_size": "vocabulary",
        "hidden_size": "width",
        "num_hidden_layers": "depth",
        "num_attention_heads": "heads",
        "intermediate_size": "inner",
        "hidden_activation": "activation",
        "max_position_embeddings": "positions",
        "norm_eps": "norm_eps",
    },
    default={"hidden_activation": "gelu", "norm_eps": 1e-5},
    fixed={"norm_bias": False, "attention_bias": False, "mlp_bias": False},
    trunk={},
    normed_stem=True,
    skipped=("head.", "decoder.", "classifier.", "qa_outputs."),
    sources=_modernbert_sources,
    stem=_ordered_stem,
    shape=_modernbert_shape,
    located=_modernbert_located,
    harmless=frozenset(
        {"attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_activation", "classifier_bias"}
        | {"classifier_pooling", "decoder_bias", "deterministic_flash_attn", "global_attn_every_n_layers"}
        | {"global_rope_theta", "initializer_cutoff_factor", "layer_norm_eps", "layer_types", "local_attention"}
        | {"local_rope_theta", "position_embedding_type", "reference_compile", "repad_logits_with_grad"}
        | {"rope_parameters", "sparse_pred_ignore_index", "sparse_prediction"}
    ),
)
