"""Tensors of the Open Inference Protocol <-> raw values and answers.

A column is one tensor whose first axis is the rows. Texts and files in base64 are BYTES `[N]`; numbers `[N]`; a series
`[N, T]` or `[N, C, T]`; what has no such form (lists of words, events) is BYTES `[N]`, each element a value's JSON.

Source: Open Inference Protocol (V2), REST, kserve.github.io/open-inference-protocol.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from underlay.core import Target
from underlay.serve.limits import Limits
from underlay.serve.questions import read_value
from underlay.serve.refusals import Refusal
from underlay.serve.request_json import parse

INTEGERS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS = ("FP16", "FP32", "FP64")
TEXT, BOOLEAN = "BYTES", "BOOL"
JSON = {"content_type": "json"}
"""A parameter of a tensor whose elements are JSON."""

MOST_AXES = 3


def column_tensor(name: str, probes: Sequence[Any], *, file: bool) -> dict[str, Any]:
    """How a column is described to a client.

    Args:
        name: Of the column.
        probes: Values as its modality makes them: JSON data.
        file: Whether it takes files.

    >>> column_tensor("text", ["a film"], file=False)
    {'name': 'text', 'datatype': 'BYTES', 'shape': [-1]}
    """
    if file or all(isinstance(probe, str) for probe in probes):
        return {"name": name, "datatype": TEXT, "shape": [-1]}
    axes = {_axes(probe) for probe in probes}
    if len(axes) == 1 and None not in axes:
        return {"name": name, "datatype": "FP64", "shape": [-1] * (1 + int(next(iter(axes)) or 0))}
    return {"name": name, "datatype": TEXT, "shape": [-1], "parameters": JSON}


def _axes(value: Any) -> int | None:
    """0 for a number, 1 for a list of them, 2 for a list of those; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return 0
    if isinstance(value, list) and value:
        inner = {_axes(item) for item in value}
        found = next(iter(inner))
        return found + 1 if len(inner) == 1 and found is not None and found + 1 < MOST_AXES else None
    return None


def column_values(tensor: Mapping[str, Any], *, described: Mapping[str, Any], file: bool, limits: Limits) -> list[Any]:
    """The raw values of a column, one a row.

    Args:
        tensor: As it was sent: `shape`, `datatype`, `data`, flat or nested, row-major.
        described: What `column_tensor` gave.
        file: Whether the column takes files.
        limits: Of the server.

    Raises:
        Refusal: `wrong_type`, `shape`, `datatype`, or as `read_value`.

    >>> column_values({"shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    ...               described={}, file=False, limits=Limits())
    ['a', 'b']
    """  # fmt: skip
    shape, datatype, data = tensor["shape"], tensor["datatype"], tensor["data"]
    if not isinstance(shape, list) or not 1 <= len(shape) <= MOST_AXES or not all(map(_is_size, shape)):
        raise Refusal("shape", field="/shape")
    if shape[0] > limits.items:
        raise Refusal("too_many_items", field="/shape", expected=f"at most {limits.items}")
    if not isinstance(data, list):
        raise Refusal("wrong_type", field="/data", expected="array")
    flat = _flat(data, shape)
    if not all(_fits(item, datatype) for item in flat):
        raise Refusal("datatype", field="/data" if _known(datatype) else "/datatype")
    if datatype == TEXT and described.get("parameters") == JSON:
        flat = [parse(item.encode("utf-8")) for item in flat]
    values = [read_value(item, file=file, limits=limits) for item in flat]
    return [_nested(values, shape[1:], row) for row in range(shape[0])]


def answer_tensors(
    target: Target, predictions: Sequence[Any], confidence: Sequence[float], probabilities: Sequence[np.ndarray]
) -> dict[str, dict[str, Any]]:
    """The tensors of one target by name: itself, `NAME.confidence`, `NAME.probabilities`.

    Several labels of one row (multilabel, tags, a ranking) are the JSON of their list in one BYTES element.

    Args:
        target: Which.
        predictions: One a row.
        confidence: One a row; not used for a number.
        probabilities: One a row; those of tags are no tensor, since rows differ in length.
    """
    rows = len(predictions)
    if not target.labels:
        return {target.name: _tensor(target.name, "FP64", [rows], [float(value) for value in predictions])}
    several = any(isinstance(value, tuple) for value in predictions)
    said = [json.dumps(list(value), ensure_ascii=False) if several else value for value in predictions]
    found = {target.name: _tensor(target.name, TEXT, [rows], said)}
    if several:
        found[target.name]["parameters"] = JSON
    # A row of no units has nothing to be sure of.
    sure = [0.0 if math.isnan(value) else round(value, 6) for value in confidence]
    found |= {name: _tensor(name, "FP64", [rows], sure) for name in (f"{target.name}.confidence",)}
    if not target.by_unit:
        flat = [round(float(value), 6) for row in probabilities for value in row]
        name = f"{target.name}.probabilities"
        found[name] = _tensor(name, "FP64", [rows, target.outputs], flat)
    return found


def answer_names(target: Target) -> list[str]:
    """The tensors that `answer_tensors` gives of a target."""
    if not target.labels:
        return [target.name]
    names = [target.name, f"{target.name}.confidence"]
    return names if target.by_unit else [*names, f"{target.name}.probabilities"]


def _tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def _is_size(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """The elements in row-major order; nested data must have the shape, flat data its size."""
    if len(shape) > 1 and data and isinstance(data[0], list):
        if len(data) != shape[0] or not all(isinstance(item, list) for item in data):
            raise Refusal("shape", field="/data")
        return [element for item in data for element in _flat(item, shape[1:])]
    if len(data) != math.prod(shape):
        raise Refusal("shape", field="/data")
    return data


def _nested(values: Sequence[Any], shape: Sequence[int], row: int) -> Any:
    if not shape:
        return values[row]
    size = math.prod(shape)
    return np.reshape(np.asarray(values[row * size : (row + 1) * size], dtype=object), shape).tolist()


def _known(datatype: Any) -> bool:
    return isinstance(datatype, str) and datatype in {TEXT, BOOLEAN, *INTEGERS, *FLOATS}


def _fits(item: Any, datatype: Any) -> bool:
    """Whether an element is of the datatype as it stands: nothing is converted."""
    if not _known(datatype):
        return False
    if datatype == TEXT:
        return isinstance(item, str)
    if datatype == BOOLEAN or isinstance(item, bool):
        return datatype == BOOLEAN and isinstance(item, bool)
    if datatype in FLOATS:
        return isinstance(item, int | float)
    sign, bits = INTEGERS[datatype]
    low, high = (0, 2**bits) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return isinstance(item, int) and low <= item < high
