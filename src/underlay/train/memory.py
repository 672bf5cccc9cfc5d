"""Freed memory handed back: batches of ever new sizes leave holes that the C library would keep."""

import ctypes
import sys


def give_back() -> None:
    """Return free pages of this process to the system; does nothing where the C library cannot."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
