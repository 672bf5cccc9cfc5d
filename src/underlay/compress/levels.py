"""The 256 levels on which the values that reach a product are put, fixed on rows that training has seen.

A range from the least to the largest value is wide where one channel is large: its levels are coarse for all others.
Two ways out are tried for each product, and those kept whose product is nearest to that in fp32: a range that cuts off
what is rare, and channels divided by a number each, by which their rows of the matrix are multiplied.

Source: Xiao et al., SmoothQuant, ICML 2023, eq. 4 with the strength 1/2; the ranges are searched as in Banner et al.,
Post training 4-bit quantization, NeurIPS 2019, by the error of the product instead of that of the tensor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from underlay.compress.operators import run_within
from underlay.compress.products import Product
from underlay.compress.rounding import scaled
from underlay.core import Inputs, stream

STEPS = 255
"""Between the least and the largest of eight bits."""

SAMPLED = 1_024
"""Positions on which ranges are compared: three for each channel of the default trunk."""

SHARES = (1.0, 0.9, 0.8, 0.65, 0.5)
"""Of the range from least to largest that are tried."""

WORTH = 0.9
"""Dividing channels costs a pass over the values; it is done where the error becomes this much of what it was."""


@dataclass(frozen=True)
class Levels:
    """How values are put on levels: `round(x / divisor / step) + zero`, cut to 0 and 255.

    Args:
        step: From one level to the next; > 0.
        zero: The level of 0, 0 to 255.
        divisor: Of each channel, `[in]`; None: 1.
        error: Mean square of what the product misses, as a share of its own.
    """

    step: float
    zero: int
    divisor: np.ndarray | None
    error: float


def calibrate(
    model: Any, wanted: Mapping[str, Product], batches: Sequence[Inputs], *, seed: int = 0
) -> dict[str, Levels]:
    """Levels of each product, by its name; those of one value are the same for all that read it.

    Args:
        model: The `onnx.ModelProto` in fp32.
        wanted: Its products.
        batches: What the model is asked.
        seed: Of the positions that are compared.
    """
    names = list(dict.fromkeys(product.entered for product in wanted.values()))
    seen = _sampled(model, names, batches, seed=seed)
    readers = {name: [one.weight for one in wanted.values() if one.entered == name] for name in names}
    found = {name: _best(seen[name], np.concatenate(weights, axis=1)) for name, weights in readers.items()}
    return {name: found[product.entered] for name, product in wanted.items()}


def _sampled(model: Any, names: Sequence[str], batches: Sequence[Inputs], *, seed: int) -> dict[str, np.ndarray]:
    """About `SAMPLED` positions of each value, and with them those that hold the largest number of a channel."""
    rng = stream(seed, "levels")
    each = -(-SAMPLED // len(batches))
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for values in run_within(model, names, batches):
        for name, array in values.items():
            drawn = rng.permutation(len(array))[:each]
            extreme = np.unique(np.concatenate([array.argmax(0), array.argmin(0)]))
            outermost = extreme[np.argsort(-np.abs(array[extreme]).max(1))[:1]]
            kept[name].append(array[np.union1d(drawn, outermost)])
    return {name: np.concatenate(arrays) for name, arrays in kept.items()}


def _best(seen: np.ndarray, weight: np.ndarray) -> Levels:
    """The levels whose product is nearest to that in fp32."""
    meant = seen @ weight
    plain = min((_tried(seen, weight, meant, None, share) for share in SHARES), key=lambda levels: levels.error)
    divisor = _divisor(seen, weight)
    divided = min((_tried(seen, weight, meant, divisor, share) for share in SHARES), key=lambda levels: levels.error)
    return divided if divided.error < WORTH * plain.error else plain


def _divisor(seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """What makes a channel's largest value and its row's largest weight alike."""
    values, weights = np.abs(seen).max(0), np.abs(weight).max(1)
    values, weights = (np.maximum(one, 1e-5 * one.max() + np.finfo(np.float32).tiny) for one in (values, weights))
    found = np.sqrt(values / weights)
    return np.asarray(found / np.exp(np.log(found).mean()), np.float32)


def _tried(seen: np.ndarray, weight: np.ndarray, meant: np.ndarray, divisor: np.ndarray | None, share: float) -> Levels:
    values = seen if divisor is None else seen / divisor
    matrix = weight if divisor is None else weight * divisor[:, None]
    low, high = share * float(np.minimum(values.min(), 0)), share * float(np.maximum(values.max(), 0))
    step = max((high - low) / STEPS, float(np.finfo(np.float32).tiny))
    zero = int(np.clip(np.rint(-low / step), 0, STEPS))
    small, scale = scaled(matrix, 0)
    on_levels = np.clip(np.rint(values / np.float32(step)) + zero, 0, STEPS) - zero
    found = (on_levels.astype(np.float32) @ small.astype(np.float32)) * (scale * np.float32(step))
    size = max(float(np.square(meant).mean()), float(np.finfo(np.float32).tiny))
    return Levels(step, zero, divisor, float(np.square(found - meant).mean()) / size)
