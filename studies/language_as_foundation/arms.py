"""The arms: one shape, four beginnings, and what of it learns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from underlay.core import derive_seed
from underlay.models import Backbone, SignalModel, build, configure, resolve

DROPOUT = 0.1
"""Underlay's own."""


@dataclass(frozen=True)
class Arm:
    """One way to begin, and what of it learns.

    Args:
        trunk: `language`, `shuffled` and `random` have the shape of `minilm`; `none` has no layers.
        frozen: Attention and feed-forward weights stay as they are.
        title: For people.
    """

    trunk: Literal["language", "shuffled", "random", "none"]
    frozen: bool
    title: str


ARMS: Mapping[str, Arm] = {
    "language-frozen": Arm("language", True, "language, frozen"),
    "shuffled-frozen": Arm("shuffled", True, "shuffled, frozen"),
    "random-frozen": Arm("random", True, "random, frozen"),
    "language-full": Arm("language", False, "language, full"),
    "shuffled-full": Arm("shuffled", False, "shuffled, full"),
    "random-full": Arm("random", False, "random, full"),
    "no-trunk": Arm("none", False, "no trunk"),
}
"""Those that are trained here and whose rate is chosen."""

NATIVE: Mapping[str, str] = {
    "native-classical": "native: classical features, linear model",
    "native-trunk": "native: the modality's default trunk",
}
"""What the users of a modality take, as it is."""


def model_of(arm: Arm, described: Mapping[str, Any], *, column: str, outputs: int, seed: int) -> SignalModel:
    """The arm's model before its first step.

    Stem and head begin alike in every arm of a seed: each parameter draws from a stream of its own.

    Args:
        arm: Which.
        described: What the modality says of the column.
        column: Its name.
        outputs: Logits.
        seed: Of the first values and of the permutation.
    """
    backbone = _backbone(arm)
    config = configure(backbone, columns={column: described}, outputs={"label": outputs}, dropout=DROPOUT)
    model = build(config, seed=seed)
    assert isinstance(model, SignalModel)  # one trunk
    backbone.load(model)  # nothing, where there are no weights
    if arm.trunk == "shuffled":
        shuffle(model.trunk, seed=seed)
    if arm.frozen:
        freeze(model.trunk)
    return model


def _backbone(arm: Arm) -> Backbone:
    """`minilm`, or its shape alone."""
    minilm = resolve("minilm")
    if arm.trunk in ("language", "shuffled"):
        return minilm
    depth = {"depth": 0} if arm.trunk == "none" else {}
    return replace(minilm, name=arm.trunk, trunk={**minilm.trunk, **depth}, weights=None, stem=None)


def shuffle(trunk: nn.Module, *, seed: int) -> None:
    """Permute the numbers inside each tensor of the checkpoint.

    Query, key and value are three tensors there and one here: each third is permuted by itself, so that its scale
    stays.
    """
    for name, parameter in trunk.named_parameters():
        parts = 3 if ".qkv." in name else 1
        generator = torch.Generator().manual_seed(derive_seed(seed, f"shuffle/{name}"))
        with torch.no_grad():
            parameter.copy_(torch.cat([_permuted(part, generator) for part in parameter.chunk(parts)]))


def freeze(trunk: nn.Module) -> None:
    """Let nothing of the trunk learn but its layer norms."""
    for module in trunk.modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(isinstance(module, nn.LayerNorm))


def _permuted(tensor: Tensor, generator: torch.Generator) -> Tensor:
    return tensor.flatten()[torch.randperm(tensor.numel(), generator=generator)].view_as(tensor)
