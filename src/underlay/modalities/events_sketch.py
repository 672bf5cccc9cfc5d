"""What training rows looked like, in counts: the reference that drift is measured against."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from underlay.modalities.events_cell import Happening
from underlay.modalities.text_words import spread

LENGTH_EDGES = (0, 1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 4096)
SHARE_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
GAP_EDGES = (0.0, 1.0, 60.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0)
"""Seconds: a moment, a minute, an hour, a day, a week, a month, a year."""

BUCKETS = 64
"""Hashed items: enough to see a change of taste, too few to tell one item."""


def sketch_events(rows: Iterable[tuple[Sequence[Happening], np.ndarray]]) -> Mapping[str, Any]:
    """Histograms over rows, JSON data with no item in it.

    Args:
        rows: Events, and the places of their items among the known ones (-1 where one is not), read once.

    Returns:
        `rows`; under `histograms`, by name, `edges` (lower ends; the last bin is open) and `counts`: `events` (a row),
        `unknown` and `repeated` (shares of a row), `gap` (mean seconds between events); under `shares`, `buckets` of
        hashed items.
    """
    edges: dict[str, tuple[float, ...]] = {
        "events": LENGTH_EDGES,
        "unknown": SHARE_EDGES,
        "repeated": SHARE_EDGES,
        "gap": GAP_EDGES,
    }
    counts = {name: np.zeros(len(bins), np.int64) for name, bins in edges.items()}
    buckets, total = np.zeros(BUCKETS, np.int64), 0
    for events, places in rows:
        total += 1
        known = places[places >= 0]
        found: dict[str, float] = {"events": float(len(events))}
        if len(events):
            names = [event.item for event in events]
            found |= {"unknown": 1 - len(known) / len(events), "repeated": 1 - len(set(names)) / len(events)}
        times = [event.time for event in events if event.time is not None]
        if len(times) > 1:
            found["gap"] = (times[-1] - times[0]) / (len(times) - 1)
        for name, value in found.items():
            counts[name][max(0, int(np.searchsorted(edges[name], value, side="right")) - 1)] += 1
        hashed = spread(known.astype(np.uint64)) % np.uint64(BUCKETS)
        buckets += np.bincount(hashed.astype(np.int64), minlength=BUCKETS)
    histograms = {name: {"edges": list(edges[name]), "counts": counts[name].tolist()} for name in counts}
    return {"rows": total, "histograms": histograms, "shares": {"buckets": buckets.tolist()}}
