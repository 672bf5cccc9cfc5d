"""What of a graph can be written in eight bits: products with a constant matrix, and tables that are looked up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST = 4096
"""Numbers from which a tensor is worth it: a smaller one saves nothing and costs its own scale."""


@dataclass(frozen=True)
class Product:
    """`entered @ weight + bias`.

    Args:
        name: Of what comes out.
        entered: Name of what is multiplied, `[..., in]`.
        tensor: Name of the matrix.
        weight: The matrix, `[in, out]`.
        bias: Name of what is added, or None.
        shift: What is added, `[out]`; empty where nothing is.
        flat: Whether what enters is known to be `[positions, in]`.
    """

    name: str
    entered: str
    tensor: str
    weight: np.ndarray
    bias: str | None
    shift: np.ndarray
    flat: bool


@dataclass(frozen=True)
class Table:
    """Rows of a table, looked up.

    Args:
        name: Of what comes out.
        asked: Name of the row numbers.
        tensor: Name of the table.
        rows: The table, `[rows, width]`.
    """

    name: str
    asked: str
    tensor: str
    rows: np.ndarray


def products(model: Any) -> dict[str, Product]:
    """The large products of an `onnx.ModelProto`, by the name of what comes out, in the graph's order."""
    matrices, vectors = _constants(model, 2, LEAST), _constants(model, 1, 1)
    found = {}
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in matrices:
            continue
        weight, bias = matrices[node.input[1]], node.input[2] if len(node.input) > 2 else ""
        flat = node.op_type == "Gemm"
        if flat:
            plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
            weight = weight.T if attribute(node, "transB", 0) else weight
            if not plain or attribute(node, "transA", 0) or (bias and bias not in vectors):
                continue
        shift = vectors[bias] if bias else np.zeros(0, np.float32)
        name = node.output[0]
        found[name] = Product(name, node.input[0], node.input[1], weight, bias or None, shift, flat)
    return found


def tables(model: Any) -> dict[str, Table]:
    """The large tables of an `onnx.ModelProto`, by the name of what comes out."""
    matrices = _constants(model, 2, LEAST)
    return {
        node.output[0]: Table(node.output[0], node.input[1], node.input[0], matrices[node.input[0]])
        for node in model.graph.node
        if node.op_type == "Gather" and node.input[0] in matrices and attribute(node, "axis", 0) == 0
    }


def attribute(node: Any, name: str, default: Any) -> Any:
    """What a node says of `name`."""
    import onnx

    found = [each for each in node.attribute if each.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else default


def _constants(model: Any, rank: int, least: int) -> Mapping[str, np.ndarray]:
    """The constant tensors of a rank, with at least so many numbers."""
    import onnx

    return {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if len(tensor.dims) == rank and tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= least
    }
