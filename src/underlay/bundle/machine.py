"""Whether two answers were computed on the same kind of machine."""

import os
import platform
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

ARITHMETIC = ("numpy", "torch", "onnxruntime")
"""Packages whose version may change the last digits of a score."""


@cache
def machine_fingerprint() -> str:
    """A digest of processor and arithmetic libraries: where it is equal, scores agree to 1e-5.

    >>> len(machine_fingerprint())
    16
    """
    facts = [platform.system(), platform.machine(), _processor(), *(f"{name} {installed(name)}" for name in ARITHMETIC)]
    return sha256("\n".join(facts).encode()).hexdigest()[:16]


def cores() -> int:
    """Cores this process may use; OMP_NUM_THREADS bounds them, as it does for PyTorch."""
    bound = os.environ.get("OMP_NUM_THREADS", "")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(bound), allowed) if bound.isdigit() and int(bound) else allowed


def installed(package: str) -> str:
    """The installed version of a package, or `none`."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def versions() -> dict[str, str]:
    """What made a bundle: the library, Python and the arithmetic."""
    names = ("underlay", *ARITHMETIC, "tokenizers", "safetensors")
    return {"python": platform.python_version(), **{name: installed(name) for name in names}, "numpy": np.__version__}


def _processor() -> str:
    """Model and instruction sets of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))
