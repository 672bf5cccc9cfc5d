"""A model with the entries of its vocabulary that the data uses; any other word falls to pieces that stay.

Source: Abdaoui et al., Load What You Need: Smaller Versions of Multilingual BERT, 2020; there for languages.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from underlay.compress.branches import branches, with_part
from underlay.core import Modality, Part, UsageError
from underlay.models import safe_key

TABLE = "words.weight"
"""The vectors of a stem, a row an entry."""


@runtime_checkable
class TrimmableModality(Protocol):
    """A modality with a vocabulary."""

    def trimmed(self, values: Iterable[Any], words: Iterable[str] = ()) -> tuple[Self, np.ndarray]:
        """Itself with the entries these values and words take, and their old ids, ascending."""
        ...

    def pieces(self, words: Sequence[str]) -> np.ndarray:
        """How many entries each word takes."""
        ...

    def parts(self, value: Any) -> tuple[Part, ...]:
        """The words of a value."""
        ...


@dataclass(frozen=True)
class Shredded:
    """What became of words.

    Args:
        words: Looked at, each as often as it stands there.
        more: Of these, how many take more entries than before.
        entries: Before and after, of all of them.
    """

    words: int
    more: int
    entries: tuple[int, int]

    @property
    def share(self) -> float:
        """Of the words, those that take more entries, 0 to 1."""
        return self.more / self.words if self.words else 0.0


@dataclass(frozen=True)
class Trimmed:
    """A model with a smaller vocabulary.

    Args:
        modalities: By column.
        config: Of the model.
        weights: Its state by name.
        entries: By trimmed column: before and after.
    """

    modalities: dict[str, Modality]
    config: dict[str, Any]
    weights: dict[str, Tensor]
    entries: dict[str, tuple[int, int]]


def trim_vocabulary(
    modalities: Mapping[str, Modality],
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    columns: Mapping[str, Iterable[Any]],
    *,
    words: Sequence[str] = (),
) -> Trimmed:
    """Leave out the entries that neither the values nor the words take, with their vectors.

    What a value gives whose entries all stay is what it gave, to the last bit.

    Args:
        modalities: Fitted, by column.
        config: Of the model.
        weights: Its state by name.
        columns: Raw training values by column.
        words: Further words that stay whole: a frequency list.

    Raises:
        UsageError: `vocabulary`: no column has one, or its tokenizer cannot be trimmed.
    """
    found = Trimmed(dict(modalities), dict(config), dict(weights), {})
    for prefix, branch in branches(config):
        stems = list(branch["stems"])
        for place, stem in enumerate(stems):
            column = stem["column"]
            key = f"{prefix}stems.{safe_key(column)}.{TABLE}"
            modality: Any = modalities[column]
            if not isinstance(modality, TrimmableModality) or key not in weights:
                continue
            smaller: Any
            smaller, kept = modality.trimmed(columns[column], words)
            found.entries[column] = (len(weights[key]), len(kept))
            found.modalities[column] = smaller
            found.weights[key] = weights[key].index_select(0, torch.from_numpy(kept))
            described = smaller.describe()
            stems[place] = {**stem, **{name: described[name] for name in ("vocabulary", "padding")}}
        found = Trimmed(found.modalities, with_part(found.config, prefix, "stems", stems), found.weights, found.entries)
    if not found.entries:
        kinds = ", ".join(f"{name} ({modality.name})" for name, modality in modalities.items())
        raise UsageError(f"no column has a vocabulary: {kinds}", "leave out --vocabulary", code="vocabulary")
    return found


def shredded(before: Any, after: Any, values: Iterable[Any]) -> Shredded:
    """Which words of these values take more entries than before.

    Args:
        before: A `TrimmableModality`.
        after: What `trimmed` made of it.
        values: Raw, of rows that the vocabulary was not chosen by.
    """
    counts = Counter(part.text for value in values if value is not None for part in before.parts(value))
    words, times = list(counts), np.array(list(counts.values()), dtype=np.int64)
    was, now = before.pieces(words), after.pieces(words)
    return Shredded(int(times.sum()), int(times[now > was].sum()), (int((was * times).sum()), int((now * times).sum())))
