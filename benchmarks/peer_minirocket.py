"""The peer on series: aeon's MiniRocketClassifier, in an environment of its own.

aeon 1.6.0 wants an older pandas than the rest of this project is pinned to, so it runs in another Python:

    python -m venv build/aeon && build/aeon/bin/pip install aeon==1.6.0 pyarrow
    UNDERLAY_AEON=build/aeon/bin/python python -m benchmarks.series

This file is what that Python runs; it imports nothing of Underlay.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def fit_minirocket(train: Path, test: Path, *, seed: int) -> dict[str, Any]:
    """`accuracy` on the test file, `seconds` of fitting and answering once numba has compiled, and aeon's `version`.

    Args:
        train: Parquet file of `series` (lists of channels) and `label`.
        test: The same.
        seed: Of the kernels.

    Raises:
        FileNotFoundError: `UNDERLAY_AEON` names no Python.
    """
    python = os.environ.get("UNDERLAY_AEON", "")
    if not python or not Path(python).exists():
        raise FileNotFoundError("UNDERLAY_AEON names no Python with aeon; see benchmarks/peer_minirocket.py")
    done = subprocess.run(
        [python, __file__, str(train), str(test), str(seed)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(train: str, test: str, seed: str) -> None:
    """Fit, answer, print one line of JSON."""
    import aeon
    import numpy as np
    import pyarrow.parquet as pq
    from aeon.classification.convolution_based import MiniRocketClassifier

    parts = [pq.read_table(path) for path in (train, test)]
    values = [np.array(part.column("series").to_pylist()) for part in parts]
    labels = [np.array(part.column("label").to_pylist()) for part in parts]
    MiniRocketClassifier(random_state=int(seed)).fit(values[0], labels[0]).predict(values[1][:1])  # numba compiles
    began = time.monotonic()
    predicted = MiniRocketClassifier(random_state=int(seed)).fit(values[0], labels[0]).predict(values[1])
    seconds = time.monotonic() - began
    accuracy = float(np.mean(predicted == labels[1]))
    print(json.dumps({"accuracy": accuracy, "seconds": seconds, "version": aeon.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
