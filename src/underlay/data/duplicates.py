"""Rows that say the same: equal after normalisation, or nearly so.

A value's fingerprint is a sorted array of distinct 64-bit hashes. Its four smallest members are a sample of the
value that does not depend on its length; two values of Jaccard similarity 0.8 share two of the four in 97 of 100
cases. So rows that share a pair of them are compared in full, and no others.

Source: Broder, On the resemblance and containment of documents, 1997 (bottom-k sketches).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from typing import Any

import numpy as np

Fingerprint = Callable[[Any], np.ndarray]

NEAR = 0.8
"""Jaccard similarity of fingerprints from which two values count as nearly the same."""

_SKETCH = 16
_SKETCH_SHARED = 8  # at similarity 0.8 two sketches share 14 of 16 on average
_PADDING = np.uint64(0xFFFFFFFFFFFFFFFF)
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_PAIRS = tuple(combinations(range(4), 2))
_SHORTEST = 8  # a value with fewer shingles is compared for equality only
_NEIGHBOURS = 3  # earlier rows of a bucket each row is compared with


@dataclass(frozen=True)
class Prints:
    """Sketches of rows.

    Args:
        exact: Equal where the values are equal after normalisation, uint64 `[N]`; 0 for empty values.
        smallest: The 16 smallest hashes, uint64 `[N, 16]`, padded with the largest number; all of it padding where
            the value is too short to be nearly anything.
    """

    exact: np.ndarray
    smallest: np.ndarray

    def __len__(self) -> int:
        return len(self.exact)


def row_fingerprint(values: Sequence[Any], fingerprints: Sequence[Fingerprint]) -> np.ndarray:
    """One fingerprint for the values of several columns; the order of the columns counts.

    Values too short to be nearly anything (numbers, categories) are equal or not; rows that differ in one share nothing
    at all.
    """
    parts = [np.asarray(of(value), np.uint64) for of, value in zip(fingerprints, values, strict=True)]
    if len(parts) == 1:
        return parts[0]
    salted = [part * np.uint64(2 * at + 1) for at, part in enumerate(parts)]
    long = [part for part in salted if len(part) >= _SHORTEST]
    short = [part for part in salted if 0 < len(part) < _SHORTEST]
    if not short:
        return np.unique(np.concatenate(long)) if long else np.zeros(0, np.uint64)
    together = np.uint64(_hashed(short) | 1)  # an odd factor keeps what is distinct distinct
    return np.unique(np.concatenate([*(part * together for part in long), np.array([together])]))


def _hashed(parts: Sequence[np.ndarray]) -> int:
    joined = np.concatenate(parts).tobytes()
    return int.from_bytes(blake2b(joined, digest_size=8).digest(), "little")


def prints(fingerprints: Iterable[np.ndarray]) -> Prints:
    """Sketch every fingerprint; keeps 136 bytes of each."""
    exact, smallest = [], []
    for found in fingerprints:
        exact.append(hash(found.tobytes()) & 0xFFFFFFFFFFFFFFFF if len(found) else 0)
        kept = found[:_SKETCH] if len(found) >= _SHORTEST else found[:0]
        smallest.append(np.concatenate([kept, np.full(_SKETCH - len(kept), _PADDING)]))
    return Prints(np.array(exact, np.uint64), np.array(smallest, np.uint64).reshape(-1, _SKETCH))


def joined(parts: Sequence[Prints]) -> Prints:
    """The sketches of several parts, one after another."""
    return Prints(np.concatenate([part.exact for part in parts]), np.concatenate([part.smallest for part in parts]))


def first_equals(found: Prints) -> np.ndarray:
    """The first row equal to each row, int64 `[N]`: itself where it is new or empty."""
    _, first, inverse = np.unique(found.exact, return_index=True, return_inverse=True)
    return np.where(found.exact == 0, np.arange(len(found)), first[inverse]).astype(np.int64)


def near_pairs(found: Prints, fingerprint_of: Callable[[int], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Pairs (earlier row, later row) that are nearly but not quite the same, int64 `[P, 2]`.

    Args:
        found: Sketches of all rows.
        fingerprint_of: Computes a row's fingerprint once more.
        rows: Which rows to compare with one another, ascending and no two equal.
    """
    pairs = rows[_candidates(found.smallest[rows])]
    pairs = pairs[_shared(found.smallest[pairs[:, 0]], found.smallest[pairs[:, 1]]) >= _SKETCH_SHARED]
    near = [jaccard(fingerprint_of(int(left)), fingerprint_of(int(right))) >= NEAR for left, right in pairs]
    return np.asarray(pairs[np.array(near, bool)].reshape(-1, 2), dtype=np.int64)


def _candidates(smallest: np.ndarray) -> np.ndarray:
    """Pairs of positions that share two of their four smallest; each with the three before it in a bucket."""
    held = [
        (np.flatnonzero(smallest[:, right] != _PADDING), smallest[:, left] * _MIXER ^ smallest[:, right])
        for left, right in _PAIRS
    ]
    positions = np.concatenate([rows for rows, _ in held])
    keys = np.concatenate([mixed[rows] for rows, mixed in held])
    order = np.lexsort((positions, keys))
    positions, keys = positions[order], keys[order]
    found = [np.zeros((0, 2), np.int64)]
    for step in range(1, _NEIGHBOURS + 1):
        same = keys[step:] == keys[:-step]
        found.append(np.stack([positions[:-step][same], positions[step:][same]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def _shared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many of the kept hashes two sketches share, int64 `[P]`; padding counts as shared by both."""
    return np.array([np.isin(one, other, kind="sort").sum() for one, other in zip(left, right, strict=True)], np.int64)


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """Shared members over all members of two fingerprints; 0 for two empty ones.

    >>> jaccard(np.array([1, 2, 3]), np.array([2, 3, 4]))
    0.5
    """
    shared = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - shared
    return shared / union if union else 0.0
