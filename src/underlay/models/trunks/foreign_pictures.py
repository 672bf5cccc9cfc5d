"""Spatial trunks whose layers are those of `transformers` (extra `hf`): ResNet and ConvNeXt; see `foreign`."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from underlay.models.registries import TRUNKS, check_sizes
from underlay.models.trunks.foreign import ACTIVATIONS, check_whole, library
from underlay.models.trunks.planes import PlanesTrunk, check_picture, sizes_of

_MOST_STAGES = 16


def _check(stages: list[list[int]], activation: str, *, first: int) -> None:
    if not 1 <= len(stages) <= _MOST_STAGES or any(len(stage) != 2 or min(stage) < 1 for stage in stages):
        raise ValueError(f"stages {stages} must be up to {_MOST_STAGES} of [layers, channels]")
    check_sizes(width=max(first, *(broad for _, broad in stages)), depth=sum(count for count, _ in stages))
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation {activation!r} is none of {sorted(ACTIVATIONS)}")


def floors(size: Sequence[int], strides: Sequence[int]) -> list[list[int]]:
    """Sides of what enters each layer, and of what leaves the last, where the rest of a side is left out.

    >>> floors([9, 8], [4, 1, 2])
    [[9, 8], [2, 2], [2, 2], [1, 1]]
    """
    found = [list(size)]
    for stride in strides:
        found.append([side // stride for side in found[-1]])
    return found


@TRUNKS("batchnorm-resnet.v1")
class BatchNormResNetTrunk(PlanesTrunk):
    """ResNet as it was trained on ImageNet, its batch norms folded into the convolutions before them.

    So there are no running statistics, and no row depends on the others, in training neither.

    Args:
        size: `[H, W]` of the picture.
        first: Channels of the first convolution, which, with the pooling behind it, quarters the sides.
        stages: `[layers, channels]` of each; all but the first halve the sides.
        bottleneck: Layers of 1 x 1, 3 x 3 and 1 x 1 (from ResNet-50 on) in place of 3 x 3 twice.
        early_stride: Whether the first of these halves the sides, and not the second.
        halve_first: Whether the first stage halves them too.
        width: D, the channels of the last stage.
        channels: Of the picture.
        activation: As in our transformer.
        dropout: Ignored; these layers have none.

    Source: He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
    """

    def __init__(
        self,
        *,
        size: list[int],
        first: int,
        stages: list[list[int]],
        width: int,
        bottleneck: bool = True,
        early_stride: bool = False,
        halve_first: bool = False,
        channels: int = 3,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_picture(size, channels)
        _check(stages, activation, first=first)
        if stages[-1][1] != width:
            raise ValueError(f"width is {width}; the last stage has {stages[-1][1]} channels")
        theirs = library("batchnorm-resnet", "resnet.modeling_resnet")
        settings = library("batchnorm-resnet", "resnet").ResNetConfig(
            num_channels=channels,
            embedding_size=first,
            depths=[count for count, _ in stages],
            hidden_sizes=[broad for _, broad in stages],
            layer_type="bottleneck" if bottleneck else "basic",
            hidden_act=ACTIVATIONS[activation],
            downsample_in_bottleneck=early_stride,
            downsample_in_first_stage=halve_first,
        )
        found = [layer for stage in theirs.ResNetEncoder(settings).stages for layer in stage.layers]
        self.layers = nn.ModuleList([theirs.ResNetEmbeddings(settings), *found])
        for module in list(self.modules()):
            if isinstance(getattr(module, "normalization", None), nn.BatchNorm2d):
                module.convolution = _biased(module.convolution)
                module.normalization = nn.Identity()
        begins = [2 if number or halve_first else 1 for number in range(len(stages))]
        strides = [
            stride for (count, _), stride in zip(stages, begins, strict=True) for stride in (stride, *[1] * (count - 1))
        ]
        self.channels, self.width = channels, width
        self.sizes = sizes_of(size, [4, *strides])
        check_whole(self)


def _biased(layer: object) -> nn.Conv2d:
    """The same convolution with a bias, which the norm behind it had."""
    assert isinstance(layer, nn.Conv2d)
    high, wide = layer.kernel_size
    return nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        (high, wide),
        stride=(layer.stride[0], layer.stride[1]),
        padding=(high // 2, wide // 2),
        groups=layer.groups,
        bias=True,
    )


@TRUNKS("convnext.v1")
class ConvNextTrunk(PlanesTrunk):
    """ConvNeXt: patches, stages of depthwise 7 x 7 convolutions with wide linear layers, a last normalisation.

    The last normalisation is that of each place; theirs is that of the mean over places.

    Args:
        size: `[H, W]` of the picture.
        patch: Pixels a side that one place of the first stage sees.
        stages: `[layers, channels]` of each; all but the first halve the sides.
        width: D, the channels of the last stage.
        channels: Of the picture.
        scaled: Whether a layer's part is scaled in each channel before it is added.
        activation: As in our transformer.
        norm_eps: Added to the variance of the last normalisation.
        dropout: Share of rows that skip the last layer in training; it grows from 0 at the first.

    Source: Liu et al., A ConvNet for the 2020s, CVPR 2022.
    """

    def __init__(
        self,
        *,
        size: list[int],
        patch: int,
        stages: list[list[int]],
        width: int,
        channels: int = 3,
        scaled: bool = True,
        activation: str = "gelu",
        norm_eps: float = 1e-12,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_picture(size, channels)
        _check(stages, activation, first=1)
        if stages[-1][1] != width or not 1 <= patch <= min(size):
            raise ValueError(f"width {width} must be that of the last of {stages}, patch {patch} at most {size}")
        theirs = library("convnext", "convnext.modeling_convnext")
        settings = library("convnext", "convnext").ConvNextConfig(
            num_channels=channels,
            patch_size=patch,
            num_stages=len(stages),
            depths=[count for count, _ in stages],
            hidden_sizes=[broad for _, broad in stages],
            hidden_act=ACTIVATIONS[activation],
            layer_scale_init_value=1e-6 if scaled else 0.0,
        )
        layers: list[nn.Module] = [theirs.ConvNextEmbeddings(settings)]
        strides, broad, total = [patch], stages[0][1], sum(count for count, _ in stages)
        for number, (count, wider) in enumerate(stages):
            for place in range(count):
                skip = dropout * (len(layers) - 1) / max(1, total - 1)
                layer = theirs.ConvNextLayer(settings, dim=wider, drop_path=skip)
                layer.own_parameters = True  # the scale of each channel, which no layer of PyTorch has
                halves = bool(number) and not place
                strides.append(2 if halves else 1)
                layers.append(nn.Sequential(*_halving(theirs, broad, wider), layer) if halves else layer)
                broad = wider
        layers.append(theirs.ConvNextLayerNorm(width, eps=norm_eps, data_format="channels_first"))
        self.layers = nn.ModuleList(layers)
        self.channels, self.width = channels, width
        self.sizes = floors(size, [*strides, 1])
        if min(self.sizes[-1]) < 1:
            raise ValueError(f"a picture of {size} has no place left after strides {strides}")
        check_whole(self)


def _halving(theirs: Any, width: int, wider: int) -> tuple[nn.Module, nn.Module]:
    """A normalisation and a convolution that halves the sides."""
    norm: nn.Module = theirs.ConvNextLayerNorm(width, eps=1e-6, data_format="channels_first")
    return norm, nn.Conv2d(width, wider, 2, stride=2)
