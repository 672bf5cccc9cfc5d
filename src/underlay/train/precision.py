"""Which number format trains fastest here: measured on steps of the model itself, never guessed from a name."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

GAIN = 1.25
"""A half format must beat fp32 by this factor: below it, its rounding is not worth its speed."""

ROUNDS = 3


@dataclass(frozen=True)
class PrecisionChoice:
    """The outcome of the probe.

    Args:
        precision: `fp32`, `bf16` or `fp16`.
        seconds: Format -> seconds of one step, the quickest of the rounds: whatever else the machine does only adds.
            A format that the model cannot compute in is not there.
    """

    precision: str
    seconds: dict[str, float]


def choose_precision(step: Callable[[], None], *, device: torch.device) -> PrecisionChoice:
    """Time `step` in fp32 and in the half format the device may support, in turn.

    Args:
        step: One forward and backward pass; it may be run any number of times.
        device: Where it runs.
    """
    half = torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
    name = "fp16" if half is torch.float16 else "bf16"
    seconds: dict[str, list[float]] = {"fp32": [], name: []}
    for _ in range(ROUNDS + 1):
        for precision, found in list(seconds.items()):
            try:
                with torch.autocast(device.type, dtype=half, enabled=precision != "fp32"):
                    found.append(_timed(step, device))
            except RuntimeError:  # a kernel that there is not in this format
                if precision == "fp32":
                    raise
                del seconds[precision]
    quickest = {precision: min(found[1:]) for precision, found in seconds.items()}  # the first of each warms up
    faster = name in quickest and quickest["fp32"] > GAIN * quickest[name]
    return PrecisionChoice(name if faster else "fp32", quickest)


def _timed(step: Callable[[], None], device: torch.device) -> float:
    began = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
