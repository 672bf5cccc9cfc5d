"""What an ONNX file may hold before it is given to its runtime: known operations, and weights that were checked.

The file is a protocol buffer; the few fields that could lead elsewhere are read here by a walker of its own, so that
answering needs no package for it.

Source: https://protobuf.dev/programming-guides/encoding and onnx.proto of ONNX 1.23, whose field numbers stand below.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.bundle.layout import GRAPH, WEIGHTS
from underlay.core import BundleRefused

DOMAINS = (b"", b"ai.onnx")
"""Operations of the standard; those of other domains may be anything."""

NESTED = 8
"""Graphs within attributes of nodes; a model of ours has none or one."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 13, 14
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"
}  # fmt: skip


@dataclass(frozen=True)
class Graph:
    """An ONNX graph and how it is run.

    Args:
        data: The file; its large weights stand in the bundle's file of weights.
        settings: `threads` (0: one a core) and `arena` (whether memory is kept between runs).
    """

    data: bytes
    settings: Mapping[str, Any]


def outside_weights(data: bytes, weights: Mapping[str, np.ndarray]) -> list[str]:
    """The tensors of a graph that stand in `weights`.

    Raises:
        BundleRefused: `graph`: no ONNX file, operations of a foreign domain, or tensors that are not in `weights`.
    """
    try:
        fields = list(_fields(memoryview(data)))
        if any(number in (_MODEL_TRAINING, _MODEL_FUNCTIONS) for number, _ in fields):
            raise _refused("it brings functions or training steps of its own")
        graphs = [value for number, value in fields if number == _MODEL_GRAPH]
        if len(graphs) != 1:
            raise _refused(f"it holds {len(graphs)} graphs")
        return [name for tensor in _tensors(graphs[0], NESTED) if (name := _outside(tensor, weights)) is not None]
    except (IndexError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise _refused(f"it is no ONNX file: {error}") from error


def _tensors(graph: memoryview, depth: int) -> Iterator[memoryview]:
    """Every tensor of a graph and of those within it."""
    if depth == 0:
        raise _refused(f"its graphs are nested deeper than {NESTED}")
    for number, value in _fields(graph):
        if number == _GRAPH_SPARSE:
            raise _refused("it holds sparse tensors")
        if number == _GRAPH_INITIALIZER:
            yield value
        if number != _GRAPH_NODE:
            continue
        for key, inner in _fields(value):
            if key == _NODE_DOMAIN and bytes(inner) not in DOMAINS:
                raise _refused(f"it asks for an operation of {bytes(inner)!r:.80}")
            if key == _NODE_ATTRIBUTE:
                yield from _of_attribute(inner, depth)


def _of_attribute(attribute: memoryview, depth: int) -> Iterator[memoryview]:
    for number, value in _fields(attribute):
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            yield value
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            yield from _tensors(value, depth - 1)


def _outside(tensor: memoryview, weights: Mapping[str, np.ndarray]) -> str | None:
    """The name of a tensor whose values stand elsewhere."""
    fields = list(_fields(tensor))
    location = [value for number, value in fields if number == _TENSOR_LOCATION]
    named = [dict(_fields(value)) for number, value in fields if number == _TENSOR_EXTERNAL]
    if not named and not any(location):
        return None
    name = next((bytes(value).decode() for number, value in fields if number == _TENSOR_NAME), "")
    files = [bytes(entry.get(2, b"")) for entry in named if bytes(entry.get(1, b"")) == b"location"]
    kind = next((_TYPES.get(value) for number, value in fields if number == _TENSOR_TYPE), None)
    shape = tuple(side for number, value in fields if number == _TENSOR_DIMS for side in _numbers(value))
    found = weights.get(name)
    if files != [WEIGHTS.encode()] or found is None or (found.shape, str(found.dtype)) != (shape, kind):
        raise _refused(f"its tensor {name!r:.80} is not in {WEIGHTS} as {kind} {list(shape)}")
    return name


def _numbers(value: Any) -> list[int]:
    """A repeated number, packed or alone."""
    if isinstance(value, int):
        return [value]
    found, place = [], 0
    while place < len(value):
        number, place = _varint(value, place)
        found.append(number)
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers as they are, all else as bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field of kind {kind}")
        if place + size > len(data):
            raise ValueError("a field ends beyond the file")
        yield number, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _refused(what: str) -> BundleRefused:
    return BundleRefused(f"{GRAPH} cannot be used: {what}", "restore the bundle or export it again", code="graph")
