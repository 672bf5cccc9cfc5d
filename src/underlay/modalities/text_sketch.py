"""What training texts looked like, in counts: the reference that drift is measured against."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from underlay.modalities.text_tokenizer import Subwords
from underlay.modalities.text_words import spread

LENGTH_EDGES = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)
SHARE_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
BUCKETS = 64
"""Hashed id buckets: enough to see a change of topic, too few to tell a word."""

SCRIPTS = {"latin": (0x41, 0x24F), "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x52F), "hebrew": (0x590, 0x5FF),
           "arabic": (0x600, 0x77F), "indic": (0x900, 0xDFF), "thai": (0xE00, 0xE7F), "kana": (0x3040, 0x30FF),
           "han": (0x3400, 0x9FFF), "hangul": (0xAC00, 0xD7AF), "emoji": (0x1F300, 0x1FAFF)}  # fmt: skip
_CHUNK = 1_024


def sketch_texts(texts: Iterable[str], own: Subwords) -> Mapping[str, Any]:
    """Histograms over the texts, JSON data with no text in it.

    Args:
        texts: Normalised texts, read once.
        own: The tokenizer of the modality.

    Returns:
        `rows`; under `histograms`, by name, `edges` (lower ends; the last bin is open) and `counts`:
        `characters`, `tokens`, `unknown` (share of tokens a text); under `shares`, `scripts` (of letters) and
        `buckets` (of tokens).
    """
    counts = {"characters": _zeros(LENGTH_EDGES), "tokens": _zeros(LENGTH_EDGES), "unknown": _zeros(SHARE_EDGES)}
    buckets, scripts, rows = np.zeros(BUCKETS, np.int64), np.zeros(len(SCRIPTS), np.int64), 0
    remaining = iter(texts)
    while chunk := list(islice(remaining, _CHUNK)):
        ids = own.ids(chunk)
        rows += len(chunk)
        tokens = np.array([len(row) for row in ids])
        unknown = np.array([(row == own.unknown).mean() if len(row) else 0.0 for row in ids])
        counts["characters"] += _histogram(np.array([len(text) for text in chunk]), LENGTH_EDGES)
        counts["tokens"] += _histogram(tokens, LENGTH_EDGES)
        counts["unknown"] += _histogram(unknown, SHARE_EDGES)
        hashed = spread(np.concatenate(ids).astype(np.uint64)) % np.uint64(BUCKETS)
        buckets += np.bincount(hashed.astype(np.int64), minlength=BUCKETS)
        scripts += _scripts("".join(chunk))
    edges = {"characters": LENGTH_EDGES, "tokens": LENGTH_EDGES, "unknown": SHARE_EDGES}
    return {
        "rows": rows,
        "histograms": {name: {"edges": list(edges[name]), "counts": counts[name].tolist()} for name in counts},
        "shares": {
            "scripts": {name: int(count) for name, count in zip(SCRIPTS, scripts, strict=True)},
            "buckets": buckets.tolist(),
        },
    }


def _zeros(edges: tuple[float, ...]) -> np.ndarray:
    return np.zeros(len(edges), dtype=np.int64)


def _histogram(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    return np.bincount(np.searchsorted(edges, values, side="right") - 1, minlength=len(edges))


def _scripts(text: str) -> np.ndarray:
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return np.array([int(((codes >= low) & (codes <= high)).sum()) for low, high in SCRIPTS.values()])
