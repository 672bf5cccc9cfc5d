"""A model without the vectors that its columns never ask for: a bundle's graph is asked by its own modalities alone."""

import copy
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from underlay.compress.branches import branches
from underlay.core import Modality
from underlay.models import FusedModel, SignalModel, safe_key
from underlay.models.stems import TextStem

LEAST = 0.01
"""Share of a table from which leaving its rows out is worth one more lookup."""

SAVED = 4
"""Numbers that may be looked up for each row that goes: four bytes each, where a row of eight bits has hundreds."""


@runtime_checkable
class KnowsItsEntries(Protocol):
    """A modality that knows which entries of its vocabulary a value can give."""

    def readable(self) -> np.ndarray:
        """Ids, ascending."""
        ...


class Renumbered(nn.Module):
    """Rows of a table by their number in a longer one.

    What was left out stood near its start: numbers up to there are looked up, those behind are all less by as much.

    Args:
        table: `[V, D]`.
        kept: Rows that stay, ascending; the last one among them.

    >>> table = Renumbered(torch.tensor([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 2, 3]))
    >>> table(torch.tensor([[0, 2, 3]])).tolist()
    [[[1.0], [3.0], [4.0]]]
    """

    places: Tensor

    def __init__(self, table: Tensor, kept: np.ndarray) -> None:
        super().__init__()
        self.start = int(np.setdiff1d(np.arange(len(table)), kept).max(initial=-1)) + 1
        places = np.zeros(self.start + 1, np.int32)
        early = kept[kept <= self.start]
        places[early] = np.arange(len(early))
        self.register_buffer("places", torch.from_numpy(places))
        self.weight = nn.Parameter(table.detach()[torch.from_numpy(kept)], requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """`[...]` -> `[..., D]`; a row that was left out is the first one."""
        places = self.places[ids.clamp(max=self.start)] + (ids - self.start).clamp(min=0)
        return nn.functional.embedding(places, self.weight)


def without_unread(
    model: SignalModel | FusedModel, config: Mapping[str, object], modalities: Mapping[str, Modality]
) -> SignalModel | FusedModel:
    """A copy that shares all other weights: without words that no text gives, and places behind the longest segment.

    Args:
        model: Of ours; not changed.
        config: Its own.
        modalities: By column; nobody else will ask.
    """
    copied = copy.deepcopy(model, {id(tensor): tensor for tensor in model.parameters()})
    for prefix, branch in branches(config):
        columns = [stem["column"] for stem in branch["stems"]]
        for column in columns:
            stem = copied.get_submodule(f"{prefix}stems.{safe_key(column)}")
            if isinstance(stem, TextStem):
                _leave_words(stem, modalities[column])
                if len(columns) == 1:  # the places of a second column go on where those of the first end
                    _leave_places(stem, modalities[column])
    return copied


def _leave_words(stem: TextStem, modality: Modality) -> None:
    if not isinstance(modality, KnowsItsEntries):
        return
    kept = _worth_it(modality.readable(), stem.words.num_embeddings)
    if len(kept) <= (1 - LEAST) * stem.words.num_embeddings:
        stem.words = Renumbered(stem.words.weight, kept)  # type: ignore[assignment]


def _worth_it(kept: np.ndarray, rows: int) -> np.ndarray:
    """The same with those rows back that stand so late that looking up all numbers before them takes more bytes.

    >>> _worth_it(np.array([0, 2, 3, 4, 5, 6, 8]), 9).tolist()
    [0, 2, 3, 4, 5, 6, 7, 8]
    """
    gone = np.setdiff1d(np.arange(rows - 1), kept)
    saved = np.arange(len(gone) + 1) * SAVED - np.concatenate([[0], gone + 1])
    return np.setdiff1d(np.arange(rows), gone[: int(saved.argmax())])


def _leave_places(stem: TextStem, modality: Modality) -> None:
    limit = modality.describe().get("limit")
    if stem.places is not None and isinstance(limit, int) and limit < stem.places.num_embeddings:
        shorter = nn.Embedding(limit, stem.places.embedding_dim, device="meta")
        shorter.weight = nn.Parameter(stem.places.weight.detach()[:limit].clone(), requires_grad=False)
        stem.places = shorter
