"""The parser of weights trusts nothing that the published reader lets pass."""

import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from underlay.bundle.weights import read_weights, write_weights
from underlay.core import BundleRefused

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2], dtype=np.int64)}


def taken_apart() -> tuple[dict[str, Any], bytes]:
    data = write_weights(ARRAYS)
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put_together(header: dict[str, Any] | str, body: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + body


def code(data: bytes) -> str:
    with pytest.raises(BundleRefused) as caught:
        read_weights(data)
    return caught.value.code


def test_what_is_written_is_read_back_and_by_the_published_reader_too() -> None:
    data = write_weights(ARRAYS)
    for read in (read_weights(data), load(data)):
        assert set(read) == set(ARRAYS)
        assert all(
            np.array_equal(read[name], array) and read[name].dtype == array.dtype for name, array in ARRAYS.items()
        )
    assert write_weights(dict(reversed(ARRAYS.items()))) == data


@pytest.mark.row("B06")
def test_a_double_name_is_refused() -> None:
    header, body = taken_apart()
    doubled = json.dumps(header)[:-1] + ', "a": ' + json.dumps(header["a"]) + "}"
    assert code(put_together(doubled, body)) == "tensor_header"


@pytest.mark.row("B06")
def test_overlapping_swapped_or_gaping_offsets_are_refused() -> None:
    header, body = taken_apart()
    for a, b in (
        ([0, 24], [8, 24]),
        ([24, 0], [24, 40]),
        ([0, 24], [32, 48]),
        ([16, 40], [8, 24]),
        ([0, 24], [24, 32]),
    ):
        changed = header | {"a": header["a"] | {"data_offsets": a}, "b": header["b"] | {"data_offsets": b}}
        assert code(put_together(changed, body)) == "tensor_header"


@pytest.mark.row("B06")
def test_a_header_above_eight_mebibytes_is_refused_before_it_is_read() -> None:
    assert code(struct.pack("<Q", (8 << 20) + 1) + b" " * ((8 << 20) + 1)) == "tensor_header"
    assert code(struct.pack("<Q", 1 << 60)) == "tensor_header"
    assert code(b"1234567") == "tensor_header"


@pytest.mark.row("B08")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    assert code(write_weights({"a": np.array([1.0, value], dtype=np.float32)})) == "not_finite"


@pytest.mark.row("B18")
def test_fifty_gigabytes_declared_or_a_million_tensors_are_refused_before_allocation() -> None:
    huge = {"a": {"dtype": "F32", "shape": [12_500_000_000], "data_offsets": [0, 50_000_000_000]}}
    assert code(put_together(huge, b"")) == "tensor_header"
    many = ",".join(f'"{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(100_001))
    assert code(put_together("{" + many + "}", b"")) == "tensor_header"
    million = ",".join(f'"{i:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(1_000_000))
    assert code(put_together("{" + million + "}", b"")) == "tensor_header"


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2, 3]},
        {"dtype": "pickle", "shape": [2, 3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2.0, 3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": "23", "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [True, 6], "data_offsets": [0, 24]},
        {"dtype": ["F32"], "shape": [2, 3], "data_offsets": [0, 24]},
        [],
    ],
)
def test_a_tensor_that_is_not_described_as_it_should_be_is_refused(entry: Any) -> None:
    header, body = taken_apart()
    assert code(put_together(header | {"a": entry}, body)) == "tensor_header"


@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    assert code(struct.pack("<Q", len(data) // 2) + data) in ("tensor_header", "not_finite")


def test_bytes_that_are_no_booleans_are_refused() -> None:
    header = {"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}
    assert code(put_together(header, b"\x01\x02")) == "tensor_header"
    assert read_weights(put_together(header, b"\x01\x00"))["a"].tolist() == [True, False]


def test_weights_are_private_memory(sealed: Path, tiny: ModuleType) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc to see what is mapped")
    from underlay.bundle import open_bundle

    bundle = open_bundle(sealed)
    assert bundle.predict(tiny.TEXTS[:1])
    assert str(sealed) not in maps.read_text(encoding="utf-8")
