"""EfficientNet weights as PyTorch's ports name them, each batch norm folded into the convolution before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from underlay.models.family import Sources, taken

NORM_EPS = 1e-3
"""EfficientNet's, ten times that of most networks."""


@dataclass(frozen=True)
class EfficientNetNaming:
    """Names of the ports that follow `efficientnet-pytorch`: `_conv_stem`, `_blocks.0._bn1`."""

    def rename(
        self,
        tensors: Mapping[str, Tensor],
        *,
        trunk: Mapping[str, Any],
        stem: Mapping[str, Any] | None,
    ) -> dict[str, Tensor]:
        """Our tensors by our names (`layers.3.depthwise.weight`); see `Naming`."""
        return taken(tensors, _sources(trunk["stages"]), skipped=lambda name: name.startswith("_fc.") or _counts(name))


EFFICIENTNET = EfficientNetNaming()


def folded_weight(
    weight: Tensor, gain: Tensor, _bias: Tensor, _mean: Tensor, variance: Tensor, *, eps: float = NORM_EPS
) -> Tensor:
    """A convolution's weight `[K, C, H, W]` that does what convolution and norm did."""
    return weight * (gain / torch.sqrt(variance + eps)).reshape(-1, 1, 1, 1)


def folded_bias(
    _weight: Tensor, gain: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, eps: float = NORM_EPS
) -> Tensor:
    """The bias `[K]` that goes with it."""
    return bias - mean * gain / torch.sqrt(variance + eps)


def _sources(stages: list[list[int]]) -> Sources:
    expansions = [expansion for count, _, _, expansion, _ in stages for _ in range(count)]
    sources = _folded("layers.0.convolution", "_conv_stem", "_bn0")
    for number, expansion in enumerate(expansions):
        ours, theirs = f"layers.{number + 1}", f"_blocks.{number}"
        if expansion > 1:
            sources |= _folded(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        sources |= _folded(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        sources |= _folded(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    return sources | _folded(f"layers.{len(expansions) + 1}.convolution", "_conv_head", "_bn1")


def _folded(ours: str, convolution: str, norm: str) -> Sources:
    names = [f"{convolution}.weight", *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))]
    return {f"{ours}.weight": (names, folded_weight), f"{ours}.bias": (names, folded_bias)}


def _counts(name: str) -> bool:
    """How many batches a norm has seen, which changes nothing."""
    return name.endswith(".num_batches_tracked")
