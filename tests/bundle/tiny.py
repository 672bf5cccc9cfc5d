"""A small bundle that needs no PyTorch: a mean of embeddings under a linear head, in NumPy.

Run as a script, it seals one: `python tiny.py FOLDER [--kill]`.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from underlay.bundle import BACKENDS, Contents, reference_sketch, seal
from underlay.bundle.layout import MANIFEST
from underlay.bundle.manifest import render_manifest
from underlay.core import BundleRefused, Column, Inputs, Schema, Target
from underlay.modalities import Text

TEXTS = [f"a {mood} {thing} number {i}" for i in range(20) for mood, thing in
         (("quiet", "film"), ("loud", "mess"), ("wonderful", "story"), ("terrible", "bore"))]  # fmt: skip
WIDTH = 16
TARGETS = {
    "binary": Target("label", "binary", ("bad", "good")),
    "multiclass": Target("label", "multiclass", ("9", "10", "best")),
    "multilabel": Target("label", "multilabel", ("short", "sad", "loud")),
    "regression": Target("label", "regression"),
}


class Linear:
    """The NumPy backend of these tests."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        shapes = {"embedding": (config["vocabulary"], WIDTH)}
        shapes |= {f"head/{head['target']}": (WIDTH, head["outputs"]) for head in config["heads"]}
        if {name: array.shape for name, array in weights.items()} != shapes:
            raise BundleRefused("the weights do not fit", code="schema_mismatch")
        self.weights = {name: array.copy() for name, array in weights.items()}

    def run(self, inputs: Inputs) -> Mapping[str, np.ndarray]:
        arrays = next(iter(inputs.values()))
        real = (arrays["mask"] > 0)[..., None]
        features = (self.weights["embedding"][arrays["ids"]] * real).sum(1) / real.sum(1)
        heads = {name: array for name, array in self.weights.items() if name.startswith("head/")}
        return {name.removeprefix("head/"): features @ head for name, head in heads.items()}


if "linear.v1" not in BACKENDS:
    BACKENDS("linear.v1")(Linear)


def contents(*targets: Target, **changes: Any) -> Contents:
    """What a small bundle is made of, the same every time."""
    targets = targets or (TARGETS["binary"],)
    schema = Schema((Column("text", "text"),), tuple(targets))
    text = Text.create(assets={}, limit=64, options={"vocabulary": 400}).fit(TEXTS, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    vocabulary = text.describe()["vocabulary"]
    weights = {"embedding": rng.normal(size=(vocabulary, WIDTH)).astype(np.float32)}
    weights |= {f"head/{t.name}": rng.normal(size=(WIDTH, t.outputs)).astype(np.float32) for t in targets}
    model = {
        "vocabulary": vocabulary,
        "stems": [{"column": "text"}],
        "heads": [{"target": t.name, "outputs": t.outputs} for t in targets],
    }
    kept = {"reference": reference_sketch(schema, {"text": text}, {"text": TEXTS}), "backend": "linear.v1"}
    return Contents(schema, {"text": text}, model, weights, **(kept | changes))


def reseal(folder: Path) -> None:
    """Write a manifest that fits what the folder holds now, as a hostile supplier would."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    (folder / MANIFEST).write_bytes(render_manifest(files, underlay="0.1.0", created="2026-01-01T00:00:00+00:00"))


if __name__ == "__main__":
    seal(sys.argv[1], contents())
    print("sealed")
