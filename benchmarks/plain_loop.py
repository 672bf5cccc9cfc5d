"""The loop that people write by hand, for the peers: AdamW, one cycle, clipped gradients, fp32; nothing else."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def train(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    rate: float,
    seed: int,
    batch: int,
    change: Callable[[Tensor], Tensor] = lambda picked: picked,
) -> float:
    """Fit in place; seconds of the loop.

    Args:
        network: Inputs -> logits `[B, K]`.
        inputs: `[N, ...]`.
        labels: Class index, `[N]`.
        epochs: Passes.
        rate: Peak learning rate.
        seed: Of the order and of `change`.
        batch: Rows.
        change: Augments a batch.
    """
    torch.manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    steps = epochs * math.ceil(len(inputs) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=max(0.1, 3 / steps))
    network.train()
    began = time.monotonic()
    for _ in range(epochs):
        for picked in torch.randperm(len(inputs)).split(batch):
            loss = F.cross_entropy(network(change(inputs[picked])), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return time.monotonic() - began


def accuracy_of(network: nn.Module, inputs: Tensor, labels: Tensor, *, batch: int) -> float:
    """Share of right answers, counted in whole numbers: a mean in fp32 would not equal the same share elsewhere."""
    network.eval()
    with torch.inference_mode():
        said = torch.cat([network(part).argmax(1) for part in inputs.split(batch)])
    return int((said == labels).sum()) / len(labels)
