"""An ONNX model whose large tensors stand in a safetensors file, where a bundle checks them."""

import json
import struct
from typing import Any

import numpy as np

from underlay.bundle.layout import WEIGHTS
from underlay.bundle.weights import DTYPES, write_weights

LARGE = 1024
"""Bytes from which a tensor leaves the graph; ONNX Runtime wants the shapes and axes, which are small, within it."""


def split(model: Any) -> tuple[bytes, dict[str, np.ndarray]]:
    """The file of a graph without its large tensors, and those by name.

    The graph says where in the bundle's file of weights they stand, so that any ONNX tool can open it there.

    Args:
        model: An `onnx.ModelProto` with all its weights; not changed.
    """
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    known = {np.dtype(kind) for kind in DTYPES.values()}
    tensors, weights = {}, {}
    for tensor in copied.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.nbytes >= LARGE and array.dtype in known:
            tensors[tensor.name], weights[tensor.name] = tensor, array
    for name, (start, stop) in _spans(write_weights(weights)).items():
        _leave(tensors[name], start, stop)
    return copied.SerializeToString(deterministic=True), weights


def _leave(tensor: Any, start: int, stop: int) -> None:
    """Replace the values of a tensor by where they stand."""
    import onnx

    shape, kind, name = list(tensor.dims), tensor.data_type, tensor.name
    tensor.Clear()
    tensor.dims.extend(shape)
    tensor.data_type, tensor.name = kind, name
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", start), ("length", stop - start)):
        tensor.external_data.add(key=key, value=str(value))


def _spans(data: bytes) -> dict[str, tuple[int, int]]:
    """First and last byte of each tensor in a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return {
        name: (8 + length + entry["data_offsets"][0], 8 + length + entry["data_offsets"][1])
        for name, entry in header.items()
        if name != "__metadata__"
    }
