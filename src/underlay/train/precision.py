"""Which number format multiplies fastest here: measured, never guessed from a name."""

import time
from dataclasses import dataclass
from statistics import median

import torch

GAIN = 1.2
"""A format must beat fp32 by this factor: below it, its rounding is not worth its speed."""


@dataclass(frozen=True)
class PrecisionChoice:
    """The outcome of the probe.

    Args:
        precision: `fp32`, `bf16` or `fp16`.
        rates: Format -> matrix multiplications measured, in GFLOP/s.
    """

    precision: str
    rates: dict[str, float]


def choose_precision(device: torch.device) -> PrecisionChoice:
    """Time one typical product in fp32 and in the half format the device may support."""
    half = torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
    rates = {"fp32": product_rate(torch.float32, device)}
    name = "fp16" if half is torch.float16 else "bf16"
    rates[name] = product_rate(half, device)
    return PrecisionChoice(name if rates[name] > GAIN * rates["fp32"] else "fp32", rates)


def product_rate(dtype: torch.dtype, device: torch.device, *, repeats: int = 5) -> float:
    """GFLOP/s of a `[2048, 384] x [384, 1536]` product, the median of `repeats`."""
    left = torch.ones(2048, 384, dtype=dtype, device=device)
    right = torch.ones(384, 1536, dtype=dtype, device=device)
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return 2 * 2048 * 384 * 1536 / median(seconds[1:]) / 1e9
