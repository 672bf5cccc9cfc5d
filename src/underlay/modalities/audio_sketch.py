"""What training recordings sounded like, in counts: the reference that drift is measured against."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

SECONDS_EDGES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 60.0)
LEVEL_EDGES = (-200.0, -80.0, -60.0, -50.0, -45.0, -40.0, -35.0, -30.0, -25.0, -20.0, -15.0, -10.0, -5.0)
"""dB of full scale; lower ends."""

CENTROID_EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Share of the mels below which half of the energy lies."""

ZERO_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Share of neighbouring samples of different sign: low for voices, high for hiss."""

EDGES = {"seconds": SECONDS_EDGES, "level": LEVEL_EDGES, "centre": CENTROID_EDGES, "crossings": ZERO_EDGES}


def sketch_audio(clips: Iterable[tuple[np.ndarray, np.ndarray]], rate: int) -> Mapping[str, Any]:
    """Histograms over recordings, JSON data with no sample in it.

    Args:
        clips: Mono samples and their log-mel energies `[T, M]`, read once.
        rate: Hz.

    Returns:
        `rows`; under `histograms`, by name, `edges` (lower ends; the last bin is open) and `counts`: `seconds`,
        `level`, `centre`, `crossings`; under `shares`, `mels`: of the energy, in thousandths of a recording.
    """
    counts = {name: np.zeros(len(edges), np.int64) for name, edges in EDGES.items()}
    mels: np.ndarray | None = None
    rows = 0
    for samples, frames in clips:
        rows += 1
        energy = np.exp(frames.astype(np.float64)).sum(0)
        share = energy / energy.sum()
        mels = share if mels is None else mels + share
        for name, value in _measures(samples, share, rate).items():
            counts[name][np.searchsorted(EDGES[name], value, side="right") - 1] += 1
    return {
        "rows": rows,
        "histograms": {name: {"edges": list(edges), "counts": counts[name].tolist()} for name, edges in EDGES.items()},
        "shares": {"mels": [] if mels is None else np.round(1000 * mels).astype(int).tolist()},
    }


def _measures(samples: np.ndarray, share: np.ndarray, rate: int) -> dict[str, float]:
    level = 20 * np.log10(max(float(np.sqrt(np.square(samples).mean())), 1e-9))
    signs = samples >= 0
    return {
        "seconds": len(samples) / rate,
        "level": level,
        "centre": float(np.searchsorted(np.cumsum(share), 0.5)) / len(share),
        "crossings": float((signs[1:] != signs[:-1]).mean()) if len(samples) > 1 else 0.0,
    }
