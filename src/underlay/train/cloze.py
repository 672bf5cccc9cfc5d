"""Events that are asked for are hidden from a trunk that reads both ways: the batch change of BERT4Rec."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from underlay.core import Batch
from underlay.train.dense import NOTHING_ASKED
from underlay.train.loop import BatchMap

LAST_ONLY = 0.2
"""Share of the rows that ask for their last event alone, as every row does once training is over."""


def cloze(column: str, target: str, *, share: float, hidden: Mapping[str, int]) -> BatchMap:
    """A change of batches that hides events and asks for these alone.

    Of each row a `share` of the events that have a label is hidden, at least one; of some rows only the last one. A
    hidden event that stands at the end and has no label, since nothing is known to follow, becomes padding.

    Args:
        column: Of the events.
        target: Its labels stand at each event's own position, int64 `[B, L]`.
        share: Above 0, at most 1.
        hidden: By array of the column, what stands where an event is hidden; see `FollowedModality.hidden`.

    Source: Sun et al., BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer,
    CIKM 2019, sections 3.5 and 3.6.

    >>> rows = {"items": torch.tensor([[5, 6, 2]]), "mask": torch.ones(1, 3, dtype=torch.long)}
    >>> batch = Batch({"item": rows}, {"next item": torch.tensor([[-100, 3, -100]])})
    >>> changed = cloze("item", "next item", share=1.0, hidden={"items": 2})(batch, torch.default_generator)
    >>> changed.inputs["item"]["items"].tolist(), changed.inputs["item"]["mask"].tolist()
    ([[5, 2, 2]], [[1, 1, 0]])
    """
    first, value = next(iter(hidden.items()))

    def hide(batch: Batch, generator: torch.Generator) -> Batch:
        arrays, labels = batch.inputs[column], batch.targets[target]
        asked = _drawn(labels != NOTHING_ASKED, share, generator)
        ends = (arrays[first] == value) & (labels == NOTHING_ASKED)
        changed = {
            name: _filled(array, asked, hidden[name]) if name in hidden else array for name, array in arrays.items()
        }
        changed["mask"] = arrays["mask"].masked_fill(ends, 0)
        targets = {**batch.targets, target: labels.masked_fill(~asked, NOTHING_ASKED)}
        return replace(batch, inputs={**batch.inputs, column: changed}, targets=targets)

    return hide


def _drawn(known: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Which of the positions `[B, L]` that have a label are asked; where none was drawn, the last."""
    rows, length = known.shape
    places = torch.arange(length, device=known.device)
    last = (places == torch.where(known, places, -1).amax(1, keepdim=True)) & known
    drawn = known & (torch.rand(rows, length, generator=generator).to(known.device) < share)
    alone = (torch.rand(rows, 1, generator=generator).to(known.device) < LAST_ONLY) | ~drawn.any(1, keepdim=True)
    return torch.where(alone, last, drawn)


def _filled(array: Tensor, where: Tensor, value: int) -> Tensor:
    return array.masked_fill(where.reshape(*where.shape, *[1] * (array.ndim - 2)), value)
