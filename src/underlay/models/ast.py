"""AST checkpoints: patches of a spectrogram with two tokens before them, on our transformer trunk.

Source: Gong, Chung and Glass, AST: Audio Spectrogram Transformer, Interspeech 2021.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.family import ENCODER_KEYS, Family, Sources, encoder_defaults, layer_sources, same, stack
from underlay.models.vit import LAYER

AUDIOSET = {"mean": -4.2677393, "std": 4.5689974}
"""What AST's own preparation takes where a checkpoint does not say otherwise: of AudioSet, on which it was trained."""

TOKENS = 2
"""A class token and one of a distilled teacher; a classifier reads their mean."""

_HARMLESS = frozenset(
    {"feature_extractor_type", "feature_size", "padding_side", "padding_value", "return_attention_mask", "mean", "std"}
    | {"do_normalize", "max_length", "num_mel_bins", "sampling_rate", "processor_class"}
)


def spectrogram_stem(given: Mapping[str, Any], _settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Arguments of the stem `spectrogram.v1`, and how many positions it gives."""
    sizes = {name: given[name] for name in ("mels", "frames", "patch", "mel_stride", "time_stride")}
    if sizes["patch"] > min(sizes["mels"], sizes["frames"]):
        raise CheckpointRefused(f"config.json has patches larger than the spectrogram: {sizes}", code="config_key")
    high = (sizes["mels"] - sizes["patch"]) // sizes["mel_stride"] + 1
    positions = high * ((sizes["frames"] - sizes["patch"]) // sizes["time_stride"] + 1) + TOKENS
    fixed = {"tokens": TOKENS, "positions": positions, "norm_eps": None}
    return {"name": "spectrogram.v1", **sizes, "width": given["width"], **fixed}, positions


def front(stem: Mapping[str, Any] | None, prepared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How recordings are read: Kaldi's spectrum as `preprocessor_config.json` says.

    Raises:
        CheckpointRefused: It says something else than config.json, or what is not known here.
    """
    assert stem is not None
    rate, levels = prepared.get("sampling_rate", 16_000), {**AUDIOSET}
    levels |= {name: prepared[name] for name in levels if name in prepared}
    if not prepared.get("do_normalize", True):
        levels = {"mean": 0.0, "std": 0.5}
    problems = [f"{key} is not known" for key in sorted(set(prepared) - _HARMLESS)]
    problems += [
        f"{key} = {prepared[key]!r}, config.json has {stem[ours]}"
        for key, ours in {"num_mel_bins": "mels", "max_length": "frames"}.items()
        if prepared.get(key, stem[ours]) != stem[ours]
    ]
    numbers = (rate, *levels.values())
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers) or levels["std"] <= 0:
        problems.append(f"sampling_rate, mean and std are {numbers}")
    if problems:
        raise CheckpointRefused(
            f"preprocessor_config.json: {'; '.join(problems)}",
            "take it from the same checkpoint as config.json",
            code="config_key",
        )
    sizes = {name: stem[name] for name in ("mels", "frames", "patch", "mel_stride", "time_stride", "tokens")}
    levels = {name: float(value) for name, value in levels.items()}
    return {"audio": {"front": {"kind": "kaldi", "rate": int(rate), **sizes, **levels}}}


def _sources(depth: int, _first: int) -> Sources:
    begins = "embeddings.patch_embeddings.projection"
    sources: Sources = {
        "tokens": (
            ["embeddings.cls_token", "embeddings.distillation_token"],
            lambda *pair: stack(*(one[0] for one in pair)),
        ),
        "places.weight": (["embeddings.position_embeddings"], _first_row),
    }
    for part in ("weight", "bias"):
        sources[f"patches.{part}"] = ([f"{begins}.{part}"], same)
        sources[f"final_norm.{part}"] = ([f"layernorm.{part}"], same)
    return sources | layer_sources(depth, "encoder.layer", LAYER)


def _first_row(tensor: Tensor) -> Tensor:
    return tensor[0]


AST = Family(
    prefix="audio_spectrogram_transformer.",
    read={
        **ENCODER_KEYS,
        "num_mel_bins": "mels",
        "max_length": "frames",
        "patch_size": "patch",
        "frequency_stride": "mel_stride",
        "time_stride": "time_stride",
    },
    default=encoder_defaults(),
    fixed={"qkv_bias": True},
    trunk={"norm": "pre", "final_norm": True},
    normed_stem=False,
    skipped=("classifier.",),
    sources=_sources,
    stem=spectrogram_stem,
    assets=(),
    reads=front,
    pooling="first",
)
