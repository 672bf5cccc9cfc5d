"""A recording in some hundred numbers: what a linear model without a neural network reads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

QUANTILES = (0.1, 0.5, 0.9)


def statistics(frames: np.ndarray) -> np.ndarray:
    """Of every mel: mean, spread, quantiles, and mean size and spread of its change; then the logarithm of the length.

    Args:
        frames: Standardised log-mel energies `[T, M]`.

    Returns:
        float32 `[7 M + 1]`.
    """
    changes = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros((1, frames.shape[1]), frames.dtype)
    rows = [
        frames.mean(0),
        frames.std(0),
        *np.quantile(frames, QUANTILES, axis=0),
        np.abs(changes).mean(0),
        changes.std(0),
        [np.log(len(frames))],
    ]
    return np.concatenate(rows).astype(np.float32)


def log_mel_statistics(frames_of: Callable[[Any], np.ndarray | None], mels: int) -> Any:
    """An unfitted scikit-learn pipeline: raw recordings -> `statistics` -> mean 0 and variance 1.

    Args:
        frames_of: Standardised frames of a recording, None for what is none; its features are all 0.
        mels: M.
    """
    from sklearn.pipeline import make_pipeline  # a second of import that most commands do without
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    def rows(values: Sequence[Any]) -> np.ndarray:
        found = np.zeros((len(values), 7 * mels + 1), np.float32)
        for row, value in enumerate(values):
            if (frames := frames_of(value)) is not None:
                found[row] = statistics(frames)
        return found

    return make_pipeline(FunctionTransformer(rows), StandardScaler())
