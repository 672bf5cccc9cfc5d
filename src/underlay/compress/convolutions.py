"""Convolutions of a graph that can be computed in eight bits, and the values that are put on levels for them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.compress.products import attribute

LEAST_TAPS = 8
"""Numbers of a filter from which it is worth its own scale: a filter over 3 x 3 pixels of one channel has nine."""


@dataclass(frozen=True)
class Convolution:
    """`activation(entered * weight + bias)`.

    Args:
        name: Of what the convolution gives.
        entered: Name of what it reads, `[B, C, ...]`.
        left: Name of what the activation behind it gives; `name` where there is none.
        tensor: Name of the filters.
        weight: The filters, `[out, in / groups, ...]`.
        bias: Name of what is added, or None.
        shift: What is added, `[out]`; zeros where nothing is.
        low: The activation cuts off what is less; -inf: nothing.
        high: Likewise what is more.
        sides: `strides`, `pads` (before each axis, then behind each), `dilations`.
        groups: Of channels.
    """

    name: str
    entered: str
    left: str
    tensor: str
    weight: np.ndarray
    bias: str | None
    shift: np.ndarray
    low: float
    high: float
    sides: Mapping[str, Sequence[int]]
    groups: int

    def meant(self, entered: np.ndarray) -> np.ndarray:
        """What it gives in fp32, `[B, out, ...]`, for `[B, C, ...]`."""
        import torch
        from torch.nn import functional as F

        axes = self.weight.ndim - 2
        pads, convolve = self.sides["pads"], {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[axes]
        around = [side for axis in reversed(range(axes)) for side in (pads[axis], pads[axes + axis])]
        found = convolve(
            F.pad(torch.from_numpy(entered), around),
            torch.from_numpy(self.weight.copy()),
            torch.from_numpy(self.shift.copy()),
            stride=tuple(self.sides["strides"]),
            dilation=tuple(self.sides["dilations"]),
            groups=self.groups,
        )
        return np.asarray(np.clip(found.numpy(), self.low, self.high))


def convolutions(model: Any) -> dict[str, Convolution]:
    """Those of an `onnx.ModelProto` with constant filters, by the name of what comes out, in the graph's order."""
    import onnx

    numbers = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    made = {name for node in model.graph.node for name in node.output}
    ends = {value.name for value in model.graph.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    behind = {node.input[0]: node for node in model.graph.node if node.op_type in ("Relu", "Clip")}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in numbers or node.input[0] not in made:
            continue
        weight, bias = numbers[node.input[1]], node.input[2] if len(node.input) > 2 else ""
        plain = attribute(node, "auto_pad", b"NOTSET") in (b"NOTSET", "") and (not bias or bias in numbers)
        name = node.output[0]
        if not plain or weight[0].size < LEAST_TAPS or not 3 <= weight.ndim <= 5 or name in ends:
            continue
        bounds = _bounds(behind.get(name), numbers) if readers[name] == 1 else None
        left = name if bounds is None else behind[name].output[0]
        axes = weight.ndim - 2
        found[name] = Convolution(
            name,
            node.input[0],
            left,
            node.input[1],
            weight,
            bias or None,
            numbers[bias] if bias else np.zeros(len(weight), np.float32),
            *(bounds or (-np.inf, np.inf)),
            {
                "strides": list(attribute(node, "strides", [1] * axes)),
                "pads": list(attribute(node, "pads", [0] * 2 * axes)),
                "dilations": list(attribute(node, "dilations", [1] * axes)),
            },
            int(attribute(node, "group", 1)),
        )
    return {name: one for name, one in found.items() if one.left not in ends}


def _bounds(node: Any, numbers: Mapping[str, np.ndarray]) -> tuple[float, float] | None:
    """What an activation lets through; None where it is none that is known."""
    if node is None:
        return None
    if node.op_type == "Relu":
        return 0.0, np.inf
    ends = [
        numbers.get(name) if name else default for name, default in zip(_ends(node), (-np.inf, np.inf), strict=True)
    ]
    return None if any(end is None for end in ends) else (float(np.asarray(ends[0])), float(np.asarray(ends[1])))


def _ends(node: Any) -> list[str]:
    return [*node.input[1:3], "", ""][:2]
