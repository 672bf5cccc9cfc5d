"""Weights in eight bits, activations quantised as they come, each position by itself.

The usual dynamic quantisation takes one scale for a whole batch, so that what a row is told depends on its batch mates,
and on how much padding there is. Here every position has its own scale: a row alone gives what it gives in a batch, and
one outlier spoils one position. Weights have a scale for each output, vectors of a table one for each vector.

Source: Dettmers et al., LLM.int8(), NeurIPS 2022, section 2.1 (vector-wise quantisation), without its outlier columns.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

LEAST = 4096
"""Numbers from which a tensor is worth it: a smaller one saves nothing and costs its own scale."""

LEVELS = 127
"""Largest magnitude of a weight; -128 is left out, so that both signs reach as far."""

MIDDLE = 128
"""What stands for 0 in an activation: the fast kernels take activations without a sign and weights with one."""


def quantised(model: Any) -> Any:
    """A copy of an ONNX model whose large products and tables are of eight bits.

    Args:
        model: An `onnx.ModelProto` with all its weights; not changed.
    """
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    graph = copied.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    matrices = {
        name: onnx.numpy_helper.to_array(tensor)
        for name, tensor in tensors.items()
        if len(tensor.dims) == 2 and tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= LEAST
    }
    nodes, added = [], _Added()
    for node in graph.node:
        made = _replaced(node, matrices, added)
        nodes += [node] if made is None else made
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for name, tensor in tensors.items() if name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *added.tensors.values()])
    del graph.value_info[:]
    return copied


class _Added:
    """Tensors that the new nodes need, each once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Any] = {}

    def constant(self, name: str, value: Any) -> str:
        import onnx

        if name not in self.tensors:
            self.tensors[name] = onnx.numpy_helper.from_array(np.asarray(value), name)
        return name


def _replaced(node: Any, matrices: Mapping[str, np.ndarray], added: _Added) -> list[Any] | None:
    """The nodes that compute the same in eight bits; None where a node stays as it is."""
    if node.op_type == "Gather" and node.input[0] in matrices and _attribute(node, "axis", 0) == 0:
        return _table(node, matrices[node.input[0]], added)
    if node.op_type == "MatMul" and node.input[1] in matrices:
        return _product(node, matrices[node.input[1]], None, added)
    if node.op_type == "Gemm" and node.input[1] in matrices and not _attribute(node, "transA", 0):
        plain = _attribute(node, "alpha", 1.0) == 1.0 and _attribute(node, "beta", 1.0) == 1.0
        weight = matrices[node.input[1]]
        turned = weight.T if _attribute(node, "transB", 0) else weight
        return _product(node, turned, node.input[2] if len(node.input) > 2 else None, added) if plain else None
    return None


def _attribute(node: Any, name: str, default: Any) -> Any:
    import onnx

    found = [each for each in node.attribute if each.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else default


def _scaled(matrix: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The matrix in eight bits, and the scale of each row or column; a row of zeros has the scale 1."""
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / LEVELS, 1.0).astype(np.float32)
    return np.rint(matrix / scale).astype(np.int8), scale


def _table(node: Any, table: np.ndarray, added: _Added) -> list[Any]:
    """Rows of a table: the numbers and their scales are looked up and multiplied."""
    import onnx

    name, out = node.input[0], node.output[0]
    small, scale = _scaled(table, 1)
    make = onnx.helper.make_node
    return [
        make("Gather", [added.constant(f"{name}/int8", small), node.input[1]], [f"{out}/small"], axis=0),
        make("Gather", [added.constant(f"{name}/scale", scale), node.input[1]], [f"{out}/scale"], axis=0),
        make("Cast", [f"{out}/small"], [f"{out}/wide"], to=onnx.TensorProto.FLOAT),
        make("Mul", [f"{out}/wide", f"{out}/scale"], [out]),
    ]


def _product(node: Any, weight: np.ndarray, bias: str | None, added: _Added) -> list[Any]:
    """`x @ weight`, weight `[in, out]`: x by the scale of each position, the product by both scales."""
    import onnx

    name, entered, out = node.input[1], node.input[0], node.output[0]
    small, scale = _scaled(weight, 0)
    make, wide, narrow = onnx.helper.make_node, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
    matrix = added.constant(f"{name}/int8", np.ascontiguousarray(small))
    scales = added.constant(f"{name}/scale", scale[0])
    last = added.constant("int8/last axis", np.array([-1]))
    per_level = added.constant("int8/per level", np.float32(1 / LEVELS))
    least = added.constant("int8/least scale", np.float32(1e-20))
    middle = added.constant("int8/middle", np.float32(MIDDLE))
    zero = added.constant("int8/zero", np.uint8(MIDDLE))
    nodes = [
        make("Abs", [entered], [f"{out}/size"]),
        make("ReduceMax", [f"{out}/size", last], [f"{out}/largest"], keepdims=1),
        make("Mul", [f"{out}/largest", per_level], [f"{out}/spread"]),
        make("Max", [f"{out}/spread", least], [f"{out}/unit"]),
        make("Div", [entered, f"{out}/unit"], [f"{out}/levels"]),
        make("Round", [f"{out}/levels"], [f"{out}/whole"]),
        make("Add", [f"{out}/whole", middle], [f"{out}/shifted"]),
        make("Cast", [f"{out}/shifted"], [f"{out}/small"], to=narrow),
        make("MatMulInteger", [f"{out}/small", matrix, zero], [f"{out}/sums"]),
        make("Cast", [f"{out}/sums"], [f"{out}/wide"], to=wide),
        make("Mul", [f"{out}/wide", f"{out}/unit"], [f"{out}/by position"]),
        make("Mul", [f"{out}/by position", scales], [out if bias is None else f"{out}/unbiased"]),
    ]
    return nodes if bias is None else [*nodes, make("Add", [f"{out}/unbiased", bias], [out])]
