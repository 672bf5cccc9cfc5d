"""Frozen lower layers computed once: their outputs on disk, the layers above trained from there."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from underlay.core import Batch, Inputs, Output, Rows
from underlay.core.durable import resource_errors
from underlay.train.arrays import reserve_array, save_array
from underlay.train.batching import plan_sweep

CACHED = "activations"
"""The column under which cached activations enter a batch."""


class Layered(Protocol):
    """A model that can stop below a layer and go on from there."""

    def mask(self, inputs: Inputs) -> Tensor | None:
        """Segments `[B, L]`, or None."""
        ...

    def lower(self, inputs: Inputs, stop: int) -> Tensor:
        """Stem and the trunk layers below `stop`: `[B, L, D]`."""
        ...

    def encode(self, embedded: Tensor, mask: Tensor | None = None, memory: None = None, *, start: int = 0) -> Output:
        """The trunk layers from `start` on, pooling and heads."""
        ...

    def layer_of(self, parameter_name: str) -> int:
        """0 for the stem, 1..depth for the trunk's layers, depth + 1 above."""
        ...


class UpperModel(nn.Module):
    """The layers from `start` on as a model of their own; parameters are shared with `model`.

    Args:
        model: The whole model.
        start: First trunk layer that runs.
    """

    def __init__(self, model: nn.Module, start: int) -> None:
        super().__init__()
        self.model = model
        self.start = start

    def embed(self, inputs: Inputs) -> Tensor:
        """What the cache holds, `[B, L, D]`, in the working precision."""
        hidden: Tensor = inputs[CACHED]["hidden"].float()
        return hidden

    def mask(self, inputs: Inputs) -> Tensor | None:
        """Segments `[B, L]`; 0 is padding."""
        mask: Tensor = inputs[CACHED]["mask"]
        return None if bool((mask == 1).all()) else mask

    def encode(self, embedded: Tensor, mask: Tensor | None = None, memory: None = None) -> Output:
        """The rest of the model."""
        return cast("Layered", self.model).encode(embedded, mask, memory, start=self.start)

    def layer_of(self, parameter_name: str) -> int:
        """As the whole model says."""
        return cast("Layered", self.model).layer_of(parameter_name.removeprefix("model."))


@dataclass(frozen=True)
class CachedRows:
    """Rows whose inputs are the outputs of frozen layers.

    Args:
        rows: Where targets and extra columns come from, and the order of rows.
        hidden: Every position of every row end to end, `[sum of lengths, D]`, half precision, memory-mapped.
        segments: `[sum of lengths]`.
        offsets: `[N + 1]`.
    """

    rows: Rows
    hidden: np.ndarray
    segments: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Positions each row takes, `[N]`."""
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Padded activations `[B, L, D]` with their segments."""
        plain = self.rows.batch(rows)
        spans = [(int(self.offsets[row]), int(self.offsets[row + 1])) for row in rows]
        longest = max(stop - start for start, stop in spans)
        hidden = np.zeros((len(spans), longest, self.hidden.shape[1]), self.hidden.dtype)
        mask = np.zeros((len(spans), longest), np.int64)
        for at, (start, stop) in enumerate(spans):
            hidden[at, : stop - start] = self.hidden[start:stop]
            mask[at, : stop - start] = self.segments[start:stop]
        return Batch({CACHED: {"hidden": hidden, "mask": mask}}, plain.targets, plain.extra)


def cache_activations(
    model: Layered,
    rows: Rows,
    *,
    stop: int,
    folder: Path,
    batch_tokens: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CachedRows:
    """Run stem and layers below `stop` over all rows once; a finished cache in `folder` is opened as it is.

    Padding is not kept, between columns neither.

    Args:
        model: In eval mode; its lower layers do not learn.
        rows: What to run.
        stop: First layer that is not run.
        folder: Where the cache is or will be.
        batch_tokens: Most positions at a time.
        progress: Called with (positions done, of all).
    """
    offsets = np.concatenate([[0], np.cumsum(rows.lengths)])
    if not (folder / "cache.json").exists():
        with resource_errors(folder):
            _fill(model, rows, stop, folder, batch_tokens, offsets, progress)
    shape: Mapping[str, int] = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
    size = (shape["positions"], shape["width"])
    hidden = np.memmap(folder / "hidden.f16", np.float16, mode="r", shape=size)
    return CachedRows(rows, hidden, np.load(folder / "segments.npy"), offsets)


def _fill(
    model: Layered,
    rows: Rows,
    stop: int,
    folder: Path,
    batch_tokens: int,
    offsets: np.ndarray,
    progress: Callable[[int, int], None],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    total, done, store = int(offsets[-1]), 0, None
    segments = np.zeros(total, np.int64)
    for picked in plan_sweep(rows.lengths, batch_tokens=batch_tokens, batch_rows=256):
        inputs = rows.batch(picked.tolist()).map(torch.from_numpy).inputs
        with torch.inference_mode():
            hidden = model.lower(inputs, stop)
            mask = model.mask(inputs)
        if mask is None:
            mask = torch.ones(hidden.shape[:2], dtype=torch.int64)
        if store is None:
            store = reserve_array(folder / "hidden.f16", (total, hidden.shape[-1]), np.float16)
        for at, row in enumerate(picked):
            start, end = int(offsets[row]), int(offsets[row + 1])
            real = mask[at] > 0  # where columns stand one after the other, padding lies between them too
            store[start:end] = hidden[at, real].to(torch.float16).numpy()
            segments[start:end] = mask[at, real].numpy()
            done += end - start
        progress(done, total)
    if store is None:
        return
    store.flush()
    save_array(folder / "segments.npy", segments)
    mark = folder / "cache.json.part"
    mark.write_text(json.dumps({"positions": total, "width": store.shape[1]}), encoding="utf-8")
    os.replace(mark, folder / "cache.json")
