"""P1: useful floating-point operations a second while training, over the rate of a bare matrix product, in turn.

Useful: real tokens, never padding; 2 FLOP a weight and token in the linears of the trunk, `4 D L` a token and layer
in attention over a text of L tokens, three times that for a training step. Embeddings, norms, activations and the
optimiser count as nothing: they are what the ratio is lowered by.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.datasets import DataAbsent, imdb_short, movie_snippets
from benchmarks.record import Results
from underlay.core import Target, stream
from underlay.modalities import Text
from underlay.models import build, configure, resolve
from underlay.models.linear import Linear
from underlay.objectives import build_objective
from underlay.train import OPTIMIZERS, Checkpoints, EncodedRows, Loop, Plan, Trainable, encode_store, parameter_groups

RESULTS = Results("flop_rate")
GEMM = (2048, 384, 1536)
"""Rows, in, out: the widest product of a layer on a batch of 2,048 tokens."""
TEXTS: Mapping[str, tuple[int, int]] = {"short": (128, 2000), "256": (256, 240)}
"""Longest text in tokens, and rows: about half a minute of training each."""


def gemm_rate(seconds: float = 2.0) -> float:
    """FLOP/s of one fp32 product by the faster of PyTorch's two matrix libraries, median over the time given."""
    rows, width, out = GEMM
    inputs, layer = torch.randn(rows, width), Linear(width, out)  # oneDNN where that is there
    libraries = (lambda: torch.nn.functional.linear(inputs, layer.weight, layer.bias), lambda: layer(inputs))
    rates: list[list[float]] = [[], []]
    until = time.monotonic() + seconds
    with torch.inference_mode():
        while time.monotonic() < until:
            for product, found in zip(libraries, rates, strict=True):
                began = time.perf_counter()
                for _ in range(5):
                    product()
                found.append(5 * 2 * rows_flop(rows, width, out) / (time.perf_counter() - began))
    return max(median(found) for found in rates)


def rows_flop(rows: int, width: int, out: int) -> int:
    """Multiply-adds of a product `[rows, width] x [width, out]`.

    >>> rows_flop(2, 3, 4)
    24
    """
    return rows * width * out


def training_flop(lengths: np.ndarray, *, width: int, inner: int, depth: int) -> float:
    """Useful operations of one training pass over texts of these lengths.

    >>> round(training_flop(np.array([128]), width=384, inner=1536, depth=6) / 1e9, 2)  # the roofline's 8.61
    8.61
    """
    linear = 2 * depth * (4 * width * width + 2 * width * inner)  # a token
    attention = 4 * depth * width  # a token and a token it sees
    return float(3 * (linear * lengths.sum() + attention * (lengths.astype(np.float64) ** 2).sum()))


def prepared_loop(texts: list[str], labels: np.ndarray, *, length: int, folder: Path, frozen: int) -> Loop:
    """The loop that `fit` runs, on these rows, one epoch, every layer from `frozen` up learning.

    Args:
        texts: One a row.
        labels: Class index of each.
        length: Longest text in tokens.
        folder: For encoded rows and checkpoints.
        frozen: 0: everything learns; 1: all but the embeddings.
    """
    backbone = resolve("minilm")
    fresh = Text.create(assets=backbone.assets, limit=backbone.limit, options={"max_length": length})
    text = fresh.fit(texts, stream(0, "modality"))
    store = encode_store(folder / "encoded", text, texts)
    rows = EncodedRows({"text": store}, {"text": text}, {"label": labels}, {}, np.arange(len(texts)))
    model = build(configure(backbone, columns={"text": text.describe()}, outputs={"label": 2}), seed=0)
    backbone.load(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(model.layer_of(name) >= frozen)
    groups = parameter_groups(
        model,
        layer_of=model.layer_of,
        depth=model.depth,
        learning_rate=5e-5,
        head_factor=5.0,
        layer_decay=1.0,
        weight_decay=0.01,
    )
    objective = build_objective(None, schema_targets=[Target("label", "binary", ("negative", "positive"))])
    return Loop(
        Trainable(model, objective),
        rows,
        OPTIMIZERS["adamw"](groups),
        learning_rate=5e-5,
        plan=Plan(seed=0, epochs=1, batch_tokens=4096, batch_rows=32, checkpoint_every=0),
        validate=lambda: ([0.0], {}),
        checkpoints=Checkpoints(folder / "checkpoints"),
    )


def measure(name: str, *, frozen: int, rows: int | None) -> dict[str, float]:
    """GEMM, training, GEMM.

    Raises:
        DataAbsent: `UNDERLAY_DATA` does not hold IMDb.
    """
    length, count = TEXTS[name]
    train = (movie_snippets() if name == "short" else imdb_short()).train.head(rows or count)
    labels = (train.label == "positive").to_numpy().astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        loop = prepared_loop(train.text.tolist(), labels, length=length, folder=Path(folder), frozen=frozen)
        before = gemm_rate()
        state = loop.run()
        after = gemm_rate()
    lengths = np.asarray(loop.rows.lengths)
    flop = training_flop(lengths, width=384, inner=1536, depth=6)
    seconds = state.progress.seconds
    return {
        "ratio": flop / seconds / ((before + after) / 2),
        "useful_gflops": flop / seconds / 1e9,
        "gemm_gflops_before": before / 1e9,
        "gemm_gflops_after": after / 1e9,
        "useful_tokens_per_second": float(lengths.sum()) / seconds,
        "mean_tokens": float(lengths.mean()),
        "rows": float(len(lengths)),
    }


def main(words: list[str] | None = None) -> None:
    """Measure the pairs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(TEXTS), help=f"of {', '.join(TEXTS)}")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--frozen", type=int, default=0, help="layers that do not learn; 1: the embeddings")
    parser.add_argument("--rows", type=int, help="development: so many rows")
    options = parser.parse_args(words)
    extra = {"frozen": options.frozen, "rows": options.rows}
    marks = {"development": {key: value for key, value in extra.items() if value}} if any(extra.values()) else {}
    for name in options.names:
        for pair in range(options.pairs):
            cell = {"pair": pair, **marks}
            try:
                entry = RESULTS.find(f"P1-{name}", cell) or RESULTS.append(
                    f"P1-{name}", cell, measure(name, frozen=options.frozen, rows=options.rows)
                )
            except DataAbsent as absent:
                print(f"P1-{name}: skipped: {absent}", flush=True)
                break
            print(f"P1-{name} pair {pair}: {entry['values']}", flush=True)


if __name__ == "__main__":
    main()
