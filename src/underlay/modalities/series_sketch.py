"""What training series looked like, in counts: the reference that drift is measured against."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from underlay.modalities.series_scaling import Moments

LENGTH_EDGES = (0, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)
SHARE_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
LEVEL_EDGES = (-1e4, -4, -3, -2, -1.5, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)
SPREAD_EDGES = (0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0, 5.0, 10.0)

CHANNELS = 16
"""Channels with histograms of their own."""


def sketch_series(rows: Iterable[np.ndarray], *, mean: np.ndarray, spread: np.ndarray) -> Mapping[str, Any]:
    """Histograms over the series, JSON data with no series in it.

    Args:
        rows: `[T, C]`, raw, read once.
        mean: Of the channels in training series, `[C]`.
        spread: Their standard deviation, `[C]`.

    Returns:
        `rows`; under `histograms`, by name, `edges` (lower ends; the last bin is open) and `counts`: `length`,
        `missing` (share of values) and, by channel, `level` and `spread` of each series in training deviations.
    """
    edges: dict[str, tuple[float, ...]] = {"length": LENGTH_EDGES, "missing": SHARE_EDGES}
    for channel in range(min(len(mean), CHANNELS)):
        edges |= {f"level {channel}": LEVEL_EDGES, f"spread {channel}": SPREAD_EDGES}
    counts = {name: np.zeros(len(bins), np.int64) for name, bins in edges.items()}
    total = 0
    for numbers in rows:
        total += 1
        own = Moments.of(numbers)
        found = {"length": float(len(numbers)), "missing": float(np.isnan(numbers).mean())}
        for channel in np.flatnonzero(own.count[:CHANNELS] > 0).tolist():
            deviation = np.sqrt(own.squares[channel] / own.count[channel])
            found[f"level {channel}"] = float((own.mean[channel] - mean[channel]) / spread[channel])
            found[f"spread {channel}"] = float(deviation / spread[channel])
        for name, value in found.items():
            counts[name][max(0, int(np.searchsorted(edges[name], value, side="right")) - 1)] += 1
    histograms = {name: {"edges": list(edges[name]), "counts": counts[name].tolist()} for name in counts}
    return {"rows": total, "histograms": histograms, "shares": {}}
