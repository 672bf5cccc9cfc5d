"""What training pictures looked like, in counts: the reference that drift is measured against."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from underlay.core import RowError
from underlay.modalities.image_augmentation import GREY
from underlay.modalities.image_decoding import decode, size_of

NEAR = 32
"""Colour statistics need no more pixels a side."""

LEVELS = tuple(range(0, 256, 16))
SPREADS = (0, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112)
SIZES = (0, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)
ASPECTS = (0.0, 0.33, 0.5, 0.6, 0.7, 0.8, 0.95, 1.05, 1.25, 1.4, 1.6, 2.0, 3.0)
EDGES: Mapping[str, tuple[float, ...]] = {
    "brightness": LEVELS,
    "contrast": SPREADS,
    "saturation": LEVELS,
    "size": SIZES,
    "aspect": ASPECTS,
}
FORMATS = ("png", "jpeg", "webp", "array")


def sketch_pictures(values: Iterable[Any]) -> Mapping[str, Any]:
    """Histograms over the pictures, JSON data with no picture in it.

    Args:
        values: Raw values, read once; those that cannot be used are left out.

    Returns:
        `rows`; under `histograms`, by name, `edges` (lower ends; the last bin is open) and `counts`: `brightness`
        (mean grey level), `contrast` (its spread), `saturation` (mean difference of the strongest and the weakest
        channel), `size` (longer side), `aspect` (width over height); under `shares`, `formats`.
    """
    counts = {name: np.zeros(len(edges), np.int64) for name, edges in EDGES.items()}
    formats, rows = dict.fromkeys(FORMATS, 0), 0
    for value in values:
        try:
            height, width, kind = size_of(value)
            pixels = decode(value, near=NEAR).astype(np.float32)
        except RowError:
            continue
        rows += 1
        formats[kind] += 1
        grey = pixels @ GREY
        found = {
            "brightness": float(grey.mean()),
            "contrast": float(grey.std()),
            "saturation": float((pixels.max(2) - pixels.min(2)).mean()),
            "size": float(max(height, width)),
            "aspect": width / height,
        }
        for name, number in found.items():
            counts[name][int(np.searchsorted(EDGES[name], number, side="right")) - 1] += 1
    return {
        "rows": rows,
        "histograms": {name: {"edges": list(EDGES[name]), "counts": counts[name].tolist()} for name in counts},
        "shares": {"formats": formats},
    }
