"""The peer on recordings: a plain convolutional network on the log-mel picture, trained by a plain PyTorch loop.

A process of its own; prints one JSON object. Four blocks of two 3 x 3 convolutions with batch norms, about as many
parameters as ours; AdamW, one cycle, fp32, as many passes. Only the loop is timed: not the imports, not the decoding,
not the test.
"""

import argparse
import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.plain_loop import accuracy_of, train
from underlay.modalities.audio_mel import Filterbank

BATCH = 16
MELS = 64
WIDTHS = (28, 56, 96, 140)


def block(inward: int, outward: int) -> nn.Module:
    """Two convolutions, the first of which halves, each with its batch norm."""
    parts: list[nn.Module] = []
    for wide, stride in ((inward, 2), (outward, 1)):
        parts += [nn.Conv2d(wide, outward, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outward), nn.ReLU()]
    return nn.Sequential(*parts)


class Network(nn.Module):
    """Blocks, the mean over time and the largest over frequency, a linear layer."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(block(a, b) for a, b in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)))
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * WIDTHS[-1], labels))

    def forward(self, frames: Tensor) -> Tensor:
        """`[B, T, M]` -> `[B, K]`."""
        planes = self.blocks(frames.unsqueeze(1)).mean(3)  # [B, C, T / 16]
        logits: Tensor = self.head(torch.cat([planes.mean(2), planes.amax(2)], 1))
        return logits


def frames_of(rows: pd.DataFrame) -> list[np.ndarray]:
    """Log-mel energies of every WAV file."""
    found = []
    for content in rows.audio:
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32_768
            found.append(Filterbank(file.getframerate(), MELS).log_mel(samples))
    return found


def padded(frames: list[np.ndarray], length: int, mean: np.ndarray, std: np.ndarray) -> Tensor:
    """Standardised, cut or filled up to `length`, `[N, T, M]`."""
    found = np.zeros((len(frames), length, MELS), np.float32)
    for row, one in enumerate(frames):
        kept = one[:length]
        found[row, : len(kept)] = (kept - mean) / std
    return torch.from_numpy(found)


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows: dict[str, Any] = {name: pd.read_parquet(getattr(options, name)) for name in ("train", "test")}
    names = sorted(set(rows["train"].label))
    frames = {name: frames_of(table) for name, table in rows.items()}
    every = np.concatenate(frames["train"])
    length = int(np.quantile([len(one) for one in frames["train"]], 0.99))
    mean, std = every.mean(0), every.std(0) + 1e-2
    parts = {
        name: (padded(found, length, mean, std), torch.tensor([names.index(label) for label in rows[name].label]))
        for name, found in frames.items()
    }
    torch.manual_seed(options.seed)
    network = Network(len(names))
    size = sum(parameter.numel() for parameter in network.parameters())
    seconds = train(
        network, *parts["train"], epochs=options.epochs, rate=options.learning_rate, seed=options.seed, batch=BATCH
    )
    print(
        json.dumps({"accuracy": accuracy_of(network, *parts["test"], batch=64), "seconds": seconds, "parameters": size})
    )


if __name__ == "__main__":
    main()
