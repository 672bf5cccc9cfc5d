"""Weights in eight bits, and activations on 256 levels: fixed beforehand, or one scale for each position as it comes.

The usual dynamic quantisation takes one scale for a whole batch, so that what a row is told depends on its batch mates,
and on how much padding there is. Here every position has its own scale, or all have the same that was fixed on data: a
row alone gives what it gives in a batch. Weights have a scale for each output, vectors of a table one for each vector.

Nothing but operations of the standard is written. ONNX Runtime makes one operation of a product and what stands around
it where both sides lie between `QuantizeLinear` and `DequantizeLinear`; others compute what is written.

Source: Dettmers et al., LLM.int8(), NeurIPS 2022, section 2.1 (vector-wise quantisation), without its outlier columns.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from underlay.compress.convolutions import convolutions
from underlay.compress.levels import Levels
from underlay.compress.planes import Grid, convolution_nodes, grid_names, on_levels, values_of
from underlay.compress.products import Product, Table, products, tables
from underlay.compress.rounding import LARGEST, in_halves, scaled

MIDDLE = 128
"""What stands for 0 in an activation: the fast kernels take activations without a sign and weights with one."""


def quantised(
    model: Any,
    *,
    levels: Mapping[str, Levels] | None = None,
    grids: Mapping[str, Grid] | None = None,
    kept: Collection[str] = (),
) -> Any:
    """A copy of an ONNX model whose large products and tables are of eight bits, and its convolutions with `grids`.

    Args:
        model: An `onnx.ModelProto` with all its weights; not changed.
        levels: Of each product, by its name; None: a scale for each position.
        grids: Of each value that enters or leaves a convolution; None: they stay as they are.
        kept: Operators that stay as they are.
    """
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    graph = copied.graph
    matrices = {name: one for name, one in products(model).items() if name not in kept}
    lookups = {name: one for name, one in tables(model).items() if name not in kept}
    windows = {} if grids is None else {name: one for name, one in convolutions(model).items() if name not in kept}
    nodes, added = [], _Added()
    for node in graph.node:
        name = node.output[0] if node.output else ""
        if name in matrices:
            nodes += _product(matrices[name], None if levels is None else levels[name], added)
        elif name in lookups:
            nodes += _table(lookups[name], added)
        elif grids is not None and name in windows:
            nodes += convolution_nodes(windows[name], node, grids, added)
        else:
            nodes.append(node)
    between = {} if grids is None else {name: grids[name] for name in values_of(windows.values())}
    nodes = list(on_levels(nodes, between, added))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    still = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*still, *added.tensors.values()])
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


def _table(table: Table, added: _Added) -> list[Any]:
    """Rows of a table: the numbers and their scales are looked up and multiplied; a scale takes two bytes."""
    import onnx

    name, out = table.tensor, table.name
    small, scale = in_halves(table.rows)
    make, wide = onnx.helper.make_node, onnx.TensorProto.FLOAT
    return [
        make("Gather", [added.constant(f"{name}/int8", small), table.asked], [f"{out}/small"], axis=0),
        make("Gather", [added.constant(f"{name}/scale", scale), table.asked], [f"{out}/scale"], axis=0),
        make("Cast", [f"{out}/small"], [f"{out}/wide"], to=wide),
        make("Cast", [f"{out}/scale"], [f"{out}/wide scale"], to=wide),
        make("Mul", [f"{out}/wide", f"{out}/wide scale"], [out]),
    ]


def _product(product: Product, levels: Levels | None, added: _Added) -> list[Any]:
    """`x @ weight + bias`: what enters on levels, the matrix in eight bits, what comes out in fp32."""
    import onnx

    if levels is not None and product.flat:
        return _joined(product, levels, added)
    out = product.name if product.bias is None else f"{product.name}/unbiased"
    nodes = _by_position(product, out, added) if levels is None else _fixed(product, levels, out, added)
    return (
        nodes if product.bias is None else [*nodes, onnx.helper.make_node("Add", [out, product.bias], [product.name])]
    )


def _by_position(product: Product, out: str, added: _Added) -> list[Any]:
    """Each position divided by the level of its own largest value, and its product multiplied by it again."""
    import onnx

    make, name, entered = onnx.helper.make_node, product.name, product.entered
    last = added.constant("int8/last axis", np.array([-1]))
    per_level = added.constant("int8/per level", np.float32(1 / LARGEST))
    least = added.constant("int8/least", np.float32(1e-20))
    return [
        make("Abs", [entered], [f"{name}/size"]),
        make("ReduceMax", [f"{name}/size", last], [f"{name}/largest"], keepdims=1),
        make("Mul", [f"{name}/largest", per_level], [f"{name}/spread"]),
        make("Max", [f"{name}/spread", least], [f"{name}/unit"]),
        make("Reciprocal", [f"{name}/unit"], [f"{name}/per unit"]),
        make("Mul", [entered, f"{name}/per unit"], [f"{name}/even"]),
        *_on_levels(name, f"{name}/even", np.float32(1), MIDDLE, added),
        _matrix(product, product.weight, added),
        make("MatMul", [f"{name}/levels", f"{name}/matrix"], [f"{name}/in units"]),
        make("Mul", [f"{name}/in units", f"{name}/unit"], [out]),
    ]


def _fixed(product: Product, levels: Levels, out: str, added: _Added) -> list[Any]:
    """The product of whole numbers, multiplied by both scales: whatever the rank of what enters."""
    import onnx

    make, name = onnx.helper.make_node, product.name
    divided, entered, weight = _divided(product, levels, added)
    small, scale = scaled(weight, 0)
    step, zero = grid_names(np.float32(levels.step), levels.zero, added)
    matrix = added.constant(f"{name}/int8", np.ascontiguousarray(small))
    both = added.constant(f"{name}/scale", scale[0] * np.float32(levels.step))
    return [
        *divided,
        make("QuantizeLinear", [entered, step, zero], [f"{name}/small"]),
        make("MatMulInteger", [f"{name}/small", matrix, zero], [f"{name}/sums"]),
        make("Cast", [f"{name}/sums"], [f"{name}/wide"], to=onnx.TensorProto.FLOAT),
        make("Mul", [f"{name}/wide", both], [out]),
    ]


def _joined(product: Product, levels: Levels, added: _Added) -> list[Any]:
    """The product and its bias, all three on levels: ONNX Runtime makes one operation of it.

    It does so only where each has its zero point and the product says all its attributes.
    """
    import onnx

    make, name = onnx.helper.make_node, product.name
    divided, entered, weight = _divided(product, levels, added)
    inner = [f"{name}/levels", f"{name}/matrix"]
    nodes = [
        *divided,
        *_on_levels(name, entered, np.float32(levels.step), levels.zero, added),
        _matrix(product, weight, added),
    ]
    if product.bias is not None:
        scale = scaled(weight, 0)[1][0] * np.float32(levels.step)
        whole = np.rint(product.shift / scale.astype(np.float64)).clip(-(2**31), 2**31 - 1).astype(np.int32)
        given = [added.constant(f"{name}/bias", whole), added.constant(f"{name}/bias scale", scale)]
        given.append(added.constant(f"int8/none of {len(whole)} in 32", np.zeros(len(whole), np.int32)))
        nodes.append(make("DequantizeLinear", given, [f"{name}/shift"], axis=0))
        inner.append(f"{name}/shift")
    return [*nodes, make("Gemm", inner, [name], alpha=1.0, beta=1.0, transA=0, transB=0)]


def _divided(product: Product, levels: Levels, added: _Added) -> tuple[list[Any], str, np.ndarray]:
    """Nodes that divide the channels, the name of what they give, and the matrix that makes up for it."""
    import onnx

    if levels.divisor is None:
        return [], product.entered, product.weight
    times = added.constant(f"{product.entered}/times", (1 / levels.divisor).astype(np.float32))
    even = f"{product.name}/even"
    node = onnx.helper.make_node("Mul", [product.entered, times], [even])
    return [node], even, product.weight * levels.divisor[:, None]


def _on_levels(name: str, entered: str, step: np.floating[Any], zero: int, added: _Added) -> list[Any]:
    """To levels and back: what lies between a pair of these is computed in eight bits."""
    import onnx

    given = grid_names(step, zero, added)
    make = onnx.helper.make_node
    return [
        make("QuantizeLinear", [entered, *given], [f"{name}/small"]),
        make("DequantizeLinear", [f"{name}/small", *given], [f"{name}/levels"]),
    ]


def _matrix(product: Product, weight: np.ndarray, added: _Added) -> Any:
    """The matrix in eight bits, with a scale for each column."""
    import onnx

    small, scale = scaled(weight, 0)
    given = [
        added.constant(f"{product.name}/int8", np.ascontiguousarray(small)),
        added.constant(f"{product.name}/scale", scale[0]),
        added.constant(f"int8/none of {small.shape[1]}", np.zeros(small.shape[1], np.int8)),
    ]
    return onnx.helper.make_node("DequantizeLinear", given, [f"{product.name}/matrix"], axis=1)
