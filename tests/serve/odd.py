"""A server of a model that sleeps, breaks on some rows, or answers them with nothing: `python odd.py serve BUNDLE ...`.

Run as `python odd.py seal FOLDER [CHANGE...]` it seals the bundle: `flip` says quiet for loud, `large` carries 64 MB,
`column` reads another column, `hard` needs a word three times only. A row says what happens: four times `sleep` takes
`ODD_SECONDS`, four times `poison` raises, four times `nothing` gives NaN; the rows that a bundle makes of itself never
say a word so often. The label is that of the words `quiet` and `loud`, so that an answer that went to another row is
seen.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from underlay.bundle import BACKENDS, Contents, seal
from underlay.core import Column, Inputs, Schema, Target
from underlay.modalities import Text

WORDS = ("quiet", "loud", "sleep", "poison", "nothing")
TEXTS = [f"{word} {number}" for word in WORDS[:2] for number in range(1_000)] * 2 + list(WORDS) * 40


class Odd:
    """Looks for words by their ids."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        self.ids = dict(zip(config["words"], weights["words"].tolist(), strict=True))
        self.flip, self.times = bool(config["flip"]), int(config["times"])
        self.weights = {name: array.copy() for name, array in weights.items()}

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        ids = next(iter(inputs.values()))["ids"]
        needed = {word: 1 if word in WORDS[:2] else self.times for word in WORDS}
        has = {word: (ids == number).sum(-1) >= needed[word] for word, number in self.ids.items()}
        if has["sleep"].any():
            time.sleep(float(os.environ.get("ODD_SECONDS", "1")))
        if has["poison"].any():
            raise ValueError("this row breaks the model")
        logits = np.stack([has["quiet"] * 3.0, has["loud"] * 3.0], -1).astype(np.float32)
        logits[has["nothing"]] = np.nan
        return {"label": logits[:, ::-1] if self.flip else logits}


BACKENDS("odd.v1")(Odd)


def fitted() -> Any:
    return Text.create(assets={}, limit=64, options={"vocabulary": 3_000}).fit(TEXTS, np.random.default_rng(0))


def seal_odd(folder: Path, *changes: str) -> None:
    text = fitted()
    ids = [text.encode(word)["ids"].ravel().tolist() for word in WORDS]
    if any(len(found) != 3 for found in ids):  # a frame around one word
        raise SystemExit(f"the words are not told apart: {ids}")
    column = "words" if "column" in changes else "text"
    weights = {"words": np.asarray([found[1] for found in ids])}
    if "large" in changes:
        weights["ballast"] = np.ones(16 << 20, np.float32)
    model = {
        "words": list(WORDS),
        "stems": [{"column": column}],
        "flip": "flip" in changes,
        "times": 3 if "hard" in changes else 4,
        "heads": [{"target": "label", "outputs": 2}],
    }
    schema = Schema((Column(column, "text"),), (Target("label", "binary", ("quiet", "loud")),))
    seal(folder, Contents(schema, {column: text}, model, weights, backend="odd.v1"))


if __name__ == "__main__":
    if sys.argv[1] == "seal":
        seal_odd(Path(sys.argv[2]), *sys.argv[3:])
    else:
        from underlay.cli import main

        main()
