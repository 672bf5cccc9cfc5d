"""Checkpoints of picture networks whose layers are those of `transformers`: ResNet and ConvNeXt."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from underlay.core import CheckpointRefused
from underlay.models.efficientnet_weights import folded_bias, folded_weight
from underlay.models.family import ACTIVATIONS, Family, Sources, moved
from underlay.models.vit import preparation

BATCH_NORM_EPS = 1e-5
"""PyTorch's own."""

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
"""Of ImageNet's pictures: what these networks were trained on where a checkpoint does not say otherwise."""

LEAST, MOST = 96, 160
"""Pixels a side: nine places are left at 96, and 160 costs half of the 224 they were trained at."""

_HARMLESS = frozenset(
    {"depths", "hidden_sizes", "out_features", "out_indices", "stage_names", "image_size", "drop_path_rate"}
)


def no_stem(_given: Mapping[str, Any], _settings: Mapping[str, Any]) -> tuple[None, None]:
    """Pixels go in as they are."""
    return None, None


def pictures(_stem: Mapping[str, Any] | None, prepared: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How pictures, and spectrograms as pictures, are read."""
    named = {f"image_{name}": value for name, value in IMAGENET.items()}
    levels = preparation({**named, **prepared})
    return {"image": {"least": LEAST, "most": MOST, **levels}, "audio": {"picture": True}}


def _stages(settings: Mapping[str, Any]) -> list[list[int]]:
    """`[layers, channels]` of each stage.

    Raises:
        CheckpointRefused: They are described otherwise.
    """
    depths, widths = settings.get("depths"), settings.get("hidden_sizes")
    lists = isinstance(depths, list) and isinstance(widths, list) and len(depths) == len(widths) > 0
    if not lists or not all(type(one) is int and one > 0 for one in (*(depths or ()), *(widths or ()))):
        raise CheckpointRefused(
            f"config.json has depths {depths!r:.60} and hidden_sizes {widths!r:.60}, not two lists of one length",
            "choose a checkpoint of the plain architecture",
            code="config_key",
        )
    return [list(pair) for pair in zip(depths or [], widths or [], strict=True)]


def _places(trunk: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """`(name of a layer in the file, its stage, its number in ours)`."""
    found = [(stage, place) for stage, (count, _) in enumerate(trunk["stages"]) for place in range(count)]
    return [
        (f"encoder.stages.{stage}.layers.{place}.", stage, number)
        for number, (stage, place) in enumerate(found, start=1)
    ]


def _resnet_shape(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    stages = _stages(settings)
    kind = settings.get("layer_type", "bottleneck")
    flags = {ours: settings.get(theirs, False) for ours, theirs in _RESNET_FLAGS.items()}
    if kind not in ("basic", "bottleneck") or not all(isinstance(one, bool) for one in flags.values()):
        raise CheckpointRefused(
            f"config.json has layer_type {kind!r} and {flags}", "choose a plain ResNet", code="config_key"
        )
    return {
        "name": "batchnorm-resnet.v1",
        "first": given["width"],
        "stages": stages,
        "width": stages[-1][1],
        "bottleneck": kind == "bottleneck",
        **flags,
        "activation": ACTIVATIONS[given["activation"]],
    }


_RESNET_FLAGS = {"early_stride": "downsample_in_bottleneck", "halve_first": "downsample_in_first_stage"}


def _resnet_located(trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    """Every convolution with the norm behind it folded in."""
    beginnings = {"embedder.": "layers.0."} | {theirs: f"layers.{number}." for theirs, _, number in _places(trunk)}
    ends = "convolution.weight"
    sources: Sources = {}
    for ours, (theirs, _) in moved([name for name in names if name.endswith(ends)], beginnings).items():
        norm = theirs[0].removesuffix(ends) + "normalization."
        parts = [theirs[0], *(norm + part for part in ("weight", "bias", "running_mean", "running_var"))]
        sources[ours] = (parts, partial(folded_weight, eps=BATCH_NORM_EPS))
        sources[f"{ours.removesuffix('weight')}bias"] = (parts, partial(folded_bias, eps=BATCH_NORM_EPS))
    return sources


RESNET = Family(
    prefix="resnet.",
    read={"embedding_size": "width", "hidden_act": "activation"},
    default={"hidden_act": "relu"},
    fixed={"num_channels": 3},
    trunk={},
    normed_stem=False,
    skipped=("classifier.",),
    stem=no_stem,
    assets=(),
    shape=_resnet_shape,
    located=_resnet_located,
    reads=pictures,
    harmless=_HARMLESS | {"layer_type", "downsample_in_bottleneck", "downsample_in_first_stage"},
)


def _convnext_shape(given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    stages, scale = _stages(settings), settings.get("layer_scale_init_value", 1e-6)
    if settings.get("num_stages", len(stages)) != len(stages) or not isinstance(scale, int | float):
        raise CheckpointRefused(
            f"config.json has num_stages {settings.get('num_stages')!r} and layer_scale_init_value {scale!r}",
            "choose a plain ConvNeXt",
            code="config_key",
        )
    return {
        "name": "convnext.v1",
        "patch": given["patch"],
        "stages": stages,
        "width": stages[-1][1],
        "scaled": scale > 0,
        "activation": ACTIVATIONS[given["activation"]],
        "norm_eps": given["norm_eps"],
    }


def _convnext_located(trunk: Mapping[str, Any], names: Iterable[str]) -> Sources:
    found, last = list(names), 1 + sum(count for count, _ in trunk["stages"])
    beginnings = {"embeddings.": "layers.0.", "layernorm.": f"layers.{last}."}
    begun = 0
    for theirs, stage, number in _places(trunk):
        halves = stage > begun
        beginnings[theirs] = f"layers.{number}.2." if halves else f"layers.{number}."
        if halves:
            beginnings[f"encoder.stages.{stage}.downsampling_layer."] = f"layers.{number}."
        begun = stage
    return moved(found, beginnings)


CONVNEXT = Family(
    prefix="convnext.",
    read={"patch_size": "patch", "hidden_act": "activation", "layer_norm_eps": "norm_eps"},
    default={"patch_size": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    fixed={"num_channels": 3},
    trunk={},
    normed_stem=False,
    skipped=("classifier.",),
    stem=no_stem,
    assets=(),
    shape=_convnext_shape,
    located=_convnext_located,
    reads=pictures,
    harmless=_HARMLESS | {"num_stages", "layer_scale_init_value"},
)
