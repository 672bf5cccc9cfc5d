"""Values between convolutions, put on 256 levels once: what made them writes them in eight bits, all read them so.

Between two convolutions of eight bits nothing but eight bits passes, an activation in between included: ONNX Runtime
makes one operation of a convolution, its activation and the levels on both sides.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR
2018, section 2 (a scale and a zero for each value; biases of 32 bits). Each filter has a scale of its own, as in
Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, section 3.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.compress.convolutions import Convolution
from underlay.compress.levels import SHARES, STEPS
from underlay.compress.operators import run_within
from underlay.compress.rounding import scaled
from underlay.core import Inputs, stream

ROOM = 2**30
"""Largest bias, in units of its scale: half of what 32 bits hold, so that the sum has the other half."""

SAMPLED = 512
"""Numbers of a value drawn from each batch, besides its least and largest."""


@dataclass(frozen=True)
class Grid:
    """The levels of one value: `round(x / step) + zero`, cut to 0 and 255.

    Args:
        step: From one level to the next; > 0.
        zero: The level of 0, 0 to 255.
    """

    step: float
    zero: int


def values_of(found: Collection[Convolution]) -> list[str]:
    """Names of what enters and leaves, each once."""
    return list(dict.fromkeys(name for one in found for name in (one.entered, one.left)))


def fit_grids(model: Any, names: Sequence[str], batches: Sequence[Inputs], *, seed: int = 0) -> dict[str, Grid]:
    """Levels of each value; the range is cut where that brings the numbers nearer to themselves on the whole.

    Args:
        model: The `onnx.ModelProto` in fp32.
        names: Of the values.
        batches: What the model is asked.
        seed: Of the numbers that are drawn.
    """
    rng = stream(seed, "planes")
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for values in run_within(model, names, batches):
        for name, array in values.items():
            flat = array.reshape(-1)
            drawn = flat[rng.integers(len(flat), size=min(SAMPLED, len(flat)))]
            kept[name].append(np.concatenate([drawn, [flat.min(), flat.max()]]))
    return {name: _best(np.concatenate(arrays)) for name, arrays in kept.items()}


def _best(seen: np.ndarray) -> Grid:
    low, high = min(float(seen.min()), 0.0), max(float(seen.max()), 0.0)
    grids = [_between(share * low, share * high) for share in SHARES]
    return min(grids, key=lambda grid: float(np.square(_on(seen, grid) - seen).mean()))


def _between(low: float, high: float) -> Grid:
    step = max((high - low) / STEPS, float(np.finfo(np.float32).tiny))
    return Grid(step, int(np.clip(np.rint(-low / step), 0, STEPS)))


def _on(values: np.ndarray, grid: Grid) -> np.ndarray:
    levels = np.clip(np.rint(values / grid.step) + grid.zero, 0, STEPS)
    return np.asarray((levels - grid.zero) * grid.step)


def convolution_nodes(one: Convolution, node: Any, grids: Mapping[str, Grid], added: Any) -> list[Any]:
    """The same convolution with filters of eight bits and a bias of 32; what it reads is on levels already."""
    import onnx

    make, name = onnx.helper.make_node, one.name
    step = grids[one.entered].step
    small, scale = _with_room(one.weight.reshape(len(one.weight), -1), one.shift, step)
    filters = [
        added.constant(f"{name}/int8", small.reshape(one.weight.shape)),
        added.constant(f"{name}/scale", scale),
        added.constant(f"int8/none of {len(scale)}", np.zeros(len(scale), np.int8)),
    ]
    unit = scale * np.float32(step)
    whole = np.rint(one.shift / unit.astype(np.float64)).astype(np.int32)
    bias = [
        added.constant(f"{name}/bias", whole),
        added.constant(f"{name}/bias scale", unit),
        added.constant(f"int8/none of {len(unit)} in 32", np.zeros(len(unit), np.int32)),
    ]
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    del copied.input[:]
    copied.input.extend([one.entered, f"{name}/filters", f"{name}/shift"])
    return [
        make("DequantizeLinear", filters, [f"{name}/filters"], axis=0),
        make("DequantizeLinear", bias, [f"{name}/shift"], axis=0),
        copied,
    ]


def _with_room(filters: np.ndarray, shift: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Filters `[out, taps]` in eight bits and their scales `[out]`, none so small that its bias leaves 32 bits.

    A trained network has filters that are nearly 0 beside a bias that is not; nothing is lost where those are coarse.

    >>> small, scale = _with_room(np.array([[1e-12, 0.0]]), np.array([1.0]), 0.1)
    >>> small.tolist(), bool(1.0 / (0.1 * scale[0]) <= ROOM)
    ([[0, 0]], True)
    """
    _, scale = scaled(filters, 1)
    least = np.abs(shift) / (step * ROOM)
    scale = np.maximum(scale[:, 0], np.nextafter(least.astype(np.float32), np.float32(np.inf)))
    return np.rint(filters / scale[:, None]).astype(np.int8), scale


def on_levels(nodes: Sequence[Any], grids: Mapping[str, Grid], added: Any) -> Iterator[Any]:
    """The same nodes, behind each one that gives a value of `grids` the way to its levels and back."""
    import onnx

    make = onnx.helper.make_node
    for node in nodes:
        wanted = [name for name in node.output if name in grids]
        for place, name in enumerate(node.output):
            if name in grids:
                node.output[place] = f"{name}/exact"
        yield node
        for name in wanted:
            grid = grids[name]
            given = grid_names(np.float32(grid.step), grid.zero, added)
            yield make("QuantizeLinear", [f"{name}/exact", *given], [f"{name}/small"])
            yield make("DequantizeLinear", [f"{name}/small", *given], [name])


def grid_names(step: np.floating[Any], zero: int, added: Any) -> list[str]:
    """Names of step and zero, the same for the same numbers: what is put on levels for several products is put once."""
    return [added.constant(f"int8/step {step!r}", step), added.constant(f"int8/zero {zero}", np.uint8(zero))]
