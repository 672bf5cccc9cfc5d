"""ViT checkpoints: patches with a class token before them, on our transformer trunk.

Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from underlay.core import CheckpointRefused
from underlay.models.family import ENCODER_KEYS, Family, Sources, encoder_defaults, layer_sources, same

GREY = 0.5
"""What ViT's own preparation subtracts and divides by where a checkpoint does not say otherwise."""

LAYER = {
    "attention_norm": ["layernorm_before"],
    "attention.qkv": [f"attention.attention.{kind}" for kind in ("query", "key", "value")],
    "attention.out": ["attention.output.dense"],
    "feed_forward_norm": ["layernorm_after"],
    "feed_forward.up": ["intermediate.dense"],
    "feed_forward.down": ["output.dense"],
}
"""Our parts of a layer -> theirs."""


def image_stem(given: Mapping[str, Any], _settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Arguments of the stem `image.v1`, and how many positions it gives."""
    side, patch = given["side"], given["patch"]
    if side % patch:
        raise CheckpointRefused(
            f"config.json has pictures of {side} pixels a side and patches of {patch}", code="config_key"
        )
    positions = (side // patch) ** 2 + 1
    return {
        "name": "image.v1",
        "height": side,
        "breadth": side,
        "patch": patch,
        "width": given["width"],
        "class_token": True,
        "positions": positions,
        "norm_eps": None,
    }, positions


def preparation(settings: Mapping[str, Any]) -> dict[str, list[float]]:
    """What `preprocessor_config.json` says of pixel values: `mean` and `std`, white = 1.

    Raises:
        CheckpointRefused: It asks for another scale, or its numbers are none.
    """
    scale = settings.get("rescale_factor", 1 / 255)
    scaled = settings.get("do_rescale", True) and isinstance(scale, float) and abs(scale - 1 / 255) < 1e-6
    mean, std = (settings.get(f"image_{name}", [GREY] * 3) for name in ("mean", "std"))
    if not settings.get("do_normalize", True):
        mean, std = [0.0], [1.0]
    numbers = all(
        isinstance(one, list) and len(one) in (1, 3) and all(isinstance(value, int | float) for value in one)
        for one in (mean, std)
    )
    if not (scaled and numbers and min(std) > 0):
        raise CheckpointRefused(
            f"preprocessor_config.json scales by {scale!r}, with mean {mean!r:.60} and std {std!r:.60}",
            "pixels of 0 to 255 are divided by 255 here, then by std; choose a checkpoint trained like that",
            code="config_key",
        )
    return {"mean": [float(one) for one in mean], "std": [float(one) for one in std]}


def suggested(stem: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How pictures are read for this stem: the options of the modality."""
    return {"image": {"size": stem["height"], "patch": stem["patch"], "class_token": True}}


def _sources(depth: int, _first: int) -> Sources:
    sources: Sources = {
        "token": (["embeddings.cls_token"], lambda tensor: tensor[0, 0]),
        "places.weight": (["embeddings.position_embeddings"], lambda tensor: tensor[0]),
        "patches.weight": (["embeddings.patch_embeddings.projection.weight"], _flat),
        "patches.bias": (["embeddings.patch_embeddings.projection.bias"], same),
    }
    for part in ("weight", "bias"):
        sources[f"final_norm.{part}"] = ([f"layernorm.{part}"], same)
    return sources | layer_sources(depth, "encoder.layer", LAYER)


def _flat(weight: Tensor) -> Tensor:
    """A convolution `[D, 3, P, P]` as the projection of a flat patch, `[D, 3 * P * P]`."""
    return weight.flatten(1)


VIT = Family(
    prefix="vit.",
    read={**ENCODER_KEYS, "image_size": "side", "patch_size": "patch"},
    default=encoder_defaults(),
    fixed={"num_channels": 3, "qkv_bias": True},
    trunk={"norm": "pre", "final_norm": True},
    normed_stem=False,
    skipped=("pooler.", "classifier.", "embeddings.mask_token", "decoder."),
    sources=_sources,
    stem=image_stem,
    assets=(),
    refined={"preprocessor_config.json": preparation},
    suggests=suggested,
    pooling="first",
)
