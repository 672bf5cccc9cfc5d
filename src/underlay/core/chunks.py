"""How many rows to hold at a time, from how many bytes those seen so far took."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from underlay.core.protocols import Encoded, Modality, RowProblem


def rows_within(budget: int, *, rows: int, taken: int, most: int) -> int:
    """Rows like those seen that fit into `budget` bytes: at least 1, at most `most`.

    Args:
        budget: Bytes.
        rows: Seen.
        taken: Bytes that they took; 0 where they took none.
        most: However small they are.

    >>> rows_within(1000, rows=10, taken=500, most=4096), rows_within(1000, rows=10, taken=0, most=4096)
    (20, 4096)
    """
    return max(1, min(most, budget * rows // taken)) if taken else most


def bytes_of(value: Any) -> int:
    """Bytes a raw value takes, about.

    >>> bytes_of(b"1234"), bytes_of({"bytes": b"12", "sampling_rate": 8000})
    (4, 10)
    """
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, np.ndarray | memoryview):
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(map(bytes_of, value.values()))
    return 32 * len(value) if isinstance(value, list | tuple) else 8  # a Python number and its place


def chunked(values: Iterable[Any], *, budget: int) -> Iterator[list[Any]]:
    """The values in order, as many at a time as take `budget` bytes, or one that takes more.

    >>> list(chunked([b"123", b"4", b"56789", b""], budget=4))
    [[b'123', b'4'], [b'56789'], [b'']]
    """
    chunk: list[Any] = []
    held = 0
    for value in values:
        size = bytes_of(value)
        if chunk and held + size > budget:
            yield chunk
            chunk, held = [], 0
        chunk.append(value)
        held += size
    if chunk:
        yield chunk


def encode_within(modality: Modality, values: Iterable[Any], *, budget: int) -> list[Encoded | RowProblem]:
    """What `encode_many` gives for these values, of which raw ones of no more than `budget` bytes are held at a time.

    Args:
        modality: Fitted.
        values: Raw; an iterator that makes them when it is asked, else they are held already.
        budget: Bytes.
    """
    return [found for chunk in chunked(values, budget=budget) for found in modality.encode_many(chunk)]
