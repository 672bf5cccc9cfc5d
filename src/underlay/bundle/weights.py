"""Named tensors in the safetensors format, read by a parser that trusts nothing.

Source: https://github.com/huggingface/safetensors, section Format. The published reader accepts double names,
NaN and anything whose byte count fits; this one does not.
"""

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save

from underlay.bundle.layout import WEIGHTS
from underlay.bundle.strict_json import parse
from underlay.core import BundleRefused

HEADER_BYTES = 8 << 20
TENSORS = 100_000
DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def write_weights(weights: Mapping[str, Any]) -> bytes:
    """The file of these arrays; the same arrays give the same bytes.

    Args:
        weights: NumPy arrays, or what `np.asarray` takes.
    """
    return bytes(save({name: np.ascontiguousarray(np.asarray(weights[name])) for name in sorted(weights)}))


def read_weights(data: bytes, name: str = WEIGHTS) -> dict[str, np.ndarray]:
    """Views into `data` by tensor name, all finite.

    Args:
        data: The file, in private memory.
        name: For the message.

    Raises:
        BundleRefused: `tensor_header` or `not_finite`.
    """
    header, body = _header(data, name)
    spans = sorted((entry["data_offsets"], tensor) for tensor, entry in header.items())
    _check_spans(spans, len(body), name)
    tensors = {tensor: _tensor(body, tensor, entry, name) for tensor, entry in header.items()}
    for tensor, array in tensors.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleRefused(
                f"{name} holds NaN or infinity in {tensor!r:.80}", "train again or restore it", code="not_finite"
            )
    return tensors


def _header(data: bytes, name: str) -> tuple[dict[str, Any], memoryview]:
    if len(data) < 8:
        raise _refused(f"{name} is shorter than a header")
    (length,) = struct.unpack("<Q", data[:8])
    if length > HEADER_BYTES or length > len(data) - 8:
        raise _refused(f"{name} declares a header of {length:,} bytes")
    try:
        header = parse(data[8 : 8 + length], f"the header of {name}")
    except BundleRefused as error:
        raise _refused(error.what) from error
    if not isinstance(header, dict):
        raise _refused(f"the header of {name} is no JSON object")
    header.pop("__metadata__", None)
    if len(header) > TENSORS:
        raise _refused(f"{name} declares {len(header):,} tensors")
    for tensor, entry in header.items():
        if not _entry(entry):
            raise _refused(f"{name} describes the tensor {tensor!r:.80} as {entry!r:.120}")
    return header, memoryview(data)[8 + length :]


def _entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return False
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        return False
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not all(
        isinstance(numbers, list) and all(_natural(number) for number in numbers) for numbers in (shape, offsets)
    ):
        return False
    size = math.prod(shape) * np.dtype(DTYPES[entry["dtype"]]).itemsize
    return len(shape) <= 8 and len(offsets) == 2 and offsets[1] - offsets[0] == size


def _natural(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 48


def _check_spans(spans: list[tuple[list[int], str]], size: int, name: str) -> None:
    """One tensor begins where the last ended, and the last ends with the file."""
    place = 0
    for (start, stop), tensor in spans:
        if start != place:
            raise _refused(f"in {name} the tensor {tensor!r:.80} begins at {start:,} instead of {place:,}")
        place = stop
    if place != size:
        raise _refused(f"{name} declares {place:,} bytes of tensors and holds {size:,}")


def _tensor(body: memoryview, tensor: str, entry: dict[str, Any], name: str) -> np.ndarray:
    start, stop = entry["data_offsets"]
    if entry["dtype"] == "BOOL" and max(body[start:stop], default=0) > 1:
        raise _refused(f"in {name} the tensor {tensor!r:.80} holds bytes that are neither true nor false")
    return np.frombuffer(body[start:stop], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _refused(what: str) -> BundleRefused:
    return BundleRefused(what, "restore the file", code="tensor_header")
