"""wav2vec 2.0 checkpoints: learned filters over samples, on our transformer trunk.

Source: Baevski et al., wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations, NeurIPS 2020.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.family import ACTIVATIONS, Family, Sources, layer_sources, moved, same


def waveform_stem(given: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[dict[str, Any], None]:
    """Arguments of the stem `waveform.v1`; it gives as many positions as a recording has.

    Raises:
        CheckpointRefused: The convolutions are described otherwise than the published ones.
    """
    lists = {name: settings.get(f"conv_{name}") for name in ("dim", "kernel", "stride")}
    whole = all(
        isinstance(one, list) and one and all(type(value) is int and 1 <= value <= 4_096 for value in one)
        for one in lists.values()
    )
    if not whole or len(set(lists["dim"] or ())) != 1 or len({len(one or ()) for one in lists.values()}) != 1:
        raise CheckpointRefused(
            f"config.json has conv_dim, conv_kernel and conv_stride {list(lists.values())}; they must be lists of one "
            "length, the first of one number",
            "choose a checkpoint of the plain architecture",
            code="config_key",
        )
    norm = settings.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise CheckpointRefused(f"config.json has feat_extract_norm {norm!r}, not group or layer", code="config_key")
    stem = {"kernels": lists["kernel"], "strides": lists["stride"], "filters": (lists["dim"] or [1])[0]}
    return {
        "name": "waveform.v1",
        **stem,
        "width": given["width"],
        "bias": bool(given["bias"]),
        "normed": norm == "layer",
        "reach": given["reach"],
        "groups": given["groups"],
        "norm_eps": given["norm_eps"],
        "last_norm": not given["stable"],
    }, None


def shape(given: Mapping[str, Any], _settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of our transformer: norms before the parts in the large models, behind them in the others."""
    norms = {"norm": "pre", "final_norm": True} if given["stable"] else {"norm": "post"}
    sizes = {key: given[key] for key in ("width", "depth", "heads", "norm_eps", "inner")}
    return {"name": "transformer.v1", **sizes, "activation": ACTIVATIONS[given["activation"]], **norms}


def front(stem: Mapping[str, Any] | None, prepared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How recordings are read: samples, with mean 0 and variance 1 where `preprocessor_config.json` says so.

    Raises:
        CheckpointRefused: It says it in another form.
    """
    assert stem is not None
    rate, normalise = prepared.get("sampling_rate", 16_000), prepared.get("do_normalize", True)
    if type(rate) is not int or not 1_000 <= rate <= 48_000 or not isinstance(normalise, bool):
        raise CheckpointRefused(
            f"preprocessor_config.json has sampling_rate {rate!r} and do_normalize {normalise!r}",
            "take it from the same checkpoint as config.json",
            code="config_key",
        )
    sizes = {"kernels": stem["kernels"], "strides": stem["strides"]}
    return {"audio": {"front": {"kind": "waveform", "rate": rate, "normalise": normalise, **sizes}}}


def scaled(size: Tensor, direction: Tensor) -> Tensor:
    """A weight of a given size at each place of the window, out of the two halves it was trained in.

    Source: Salimans and Kingma, Weight Normalization, NeurIPS 2016, equation 2.
    """
    norm: Tensor = torch.linalg.vector_norm(direction, dim=(0, 1), keepdim=True)
    return size * direction / norm


def _located(trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    found = list(names)
    place = "encoder.pos_conv_embed.conv"
    halves = [f"{place}.parametrizations.weight.original{number}" for number in (0, 1)]
    if halves[0] not in found:
        halves = [f"{place}.weight_g", f"{place}.weight_v"]  # as older files call them
    sources: Sources = {"relative.weight": (halves, scaled), "relative.bias": ([f"{place}.bias"], same)}
    last = "final_norm" if trunk["norm"] == "pre" else "norm"
    sources |= moved(
        found,
        {
            "feature_projection.layer_norm.": "before.",
            "feature_projection.projection.": "project.",
            "encoder.layer_norm.": f"{last}.",
        },
    )
    over_channels = "feature_extractor.conv_layers.1.layer_norm.weight" in found
    for name in found:
        _, _, rest = name.partition("feature_extractor.conv_layers.")
        number, _, part = rest.partition(".")
        if part.startswith("conv."):
            sources[f"convolutions.{number}.{part.removeprefix('conv.')}"] = ([name], same)
        elif part.startswith("layer_norm."):
            norm = f"norms.{number}" if over_channels else "over_time"
            sources[f"{norm}.{part.removeprefix('layer_norm.')}"] = ([name], same)
    return sources


def _sources(depth: int, _first: int) -> Sources:
    return layer_sources(
        depth,
        "encoder.layers",
        {
            "attention.qkv": [f"attention.{kind}_proj" for kind in "qkv"],
            "attention.out": ["attention.out_proj"],
            "attention_norm": ["layer_norm"],
            "feed_forward.up": ["feed_forward.intermediate_dense"],
            "feed_forward.down": ["feed_forward.output_dense"],
            "feed_forward_norm": ["final_layer_norm"],
        },
    )


WAV2VEC2 = Family(
    prefix="wav2vec2.",
    read={
        "hidden_size": "width",
        "num_hidden_layers": "depth",
        "num_attention_heads": "heads",
        "intermediate_size": "inner",
        "hidden_act": "activation",
        "layer_norm_eps": "norm_eps",
        "hidden_dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "conv_bias": "bias",
        "do_stable_layer_norm": "stable",
        "num_conv_pos_embeddings": "reach",
        "num_conv_pos_embedding_groups": "groups",
    },
    default={
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "hidden_dropout": 0.1,
        "attention_dropout": 0.1,
        "conv_bias": False,
        "do_stable_layer_norm": False,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
    },
    fixed={"feat_extract_activation": "gelu", "add_adapter": False, "adapter_attn_dim": None},
    trunk={},
    normed_stem=False,
    skipped=(
        "masked_spec_embed",
        "quantizer.",
        "project_",
        "projector.",
        "classifier.",
        "lm_head.",
        "layer_weights",
        "tdnn.",
    ),
    sources=_sources,
    stem=waveform_stem,
    assets=(),
    shape=shape,
    located=_located,
    reads=front,
    harmless=frozenset(
        {"activation_dropout", "adapter_kernel_size", "adapter_stride", "apply_spec_augment", "classifier_proj_size"}
        | {"codevector_dim", "contrastive_logits_temperature", "conv_dim", "conv_kernel", "conv_stride"}
        | {"ctc_loss_reduction", "ctc_zero_infinity", "diversity_loss_weight", "feat_extract_dropout"}
        | {"feat_extract_norm", "feat_proj_dropout", "feat_quantizer_dropout", "final_dropout", "layerdrop"}
        | {"mask_channel_length", "mask_channel_min_space", "mask_channel_other", "mask_channel_prob"}
        | {"mask_channel_selection", "mask_feature_length", "mask_feature_min_masks", "mask_feature_prob"}
        | {"mask_time_length", "mask_time_min_masks", "mask_time_min_space", "mask_time_other", "mask_time_prob"}
        | {"mask_time_selection", "num_adapter_layers", "num_codevector_groups", "num_codevectors_per_group"}
        | {"num_feat_extract_layers", "num_negatives", "output_hidden_size", "proj_codevector_dim", "tdnn_dilation"}
        | {"tdnn_dim", "tdnn_kernel", "use_weighted_layer_sum", "vocab_size", "xvector_output_dim"}
    ),
)
