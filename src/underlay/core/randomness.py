"""Independent random streams from one seed, each found by its purpose and never shared."""

from hashlib import sha256

import numpy as np


def stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator that depends on the seed and the purpose alone, on no call made before.

    Args:
        seed: The run's seed, 0 to 2**63 - 1.
        purpose: What the numbers are for (`split`, `batches/3`).

    >>> bool(stream(0, "split").random() == stream(0, "split").random())
    True
    """
    return np.random.default_rng(derive_seed(seed, purpose))


def derive_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for `purpose`.

    >>> derive_seed(0, "split") != derive_seed(0, "batches")
    True
    """
    return int.from_bytes(sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big") >> 1
