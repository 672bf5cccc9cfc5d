"""Stem + trunk + pooling + heads: the model every recipe and every bundle describes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

import torch
from torch import Tensor, nn

from underlay.core import Inputs, Output
from underlay.models.registries import Stem, Trunk


class SignalModel(nn.Module):
    """A model of any signal, cut where every signal is continuous.

    Args:
        stems: By input column, in the schema's order.
        trunk: What they all stand on.
        pooling: Positions to one vector.
        heads: By target; none where the model is a branch of another.
        dense: Targets whose heads read every position instead of the pooled features.
    """

    def __init__(
        self,
        stems: Mapping[str, nn.Module],
        trunk: nn.Module,
        pooling: nn.Module,
        heads: Mapping[str, nn.Module],
        *,
        dense: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.dense = frozenset(dense)
        self.columns = tuple(stems)
        self.targets = tuple(heads)
        self.stems = nn.ModuleDict({safe_key(column): stem for column, stem in stems.items()})
        self.trunk = trunk
        self.pooling = pooling
        self.heads = nn.ModuleDict({safe_key(target): head for target, head in heads.items()})
        self.trained: frozenset[str] | None = None
        """Columns whose stem came with the trained trunk; None where nothing was trained before."""

    @property
    def width(self) -> int:
        """D of what the trunk gives."""
        return self._trunk.width

    @property
    def depth(self) -> int:
        """Layers of the trunk."""
        return len(self._trunk.layers)

    @property
    def _trunk(self) -> Trunk:
        return cast("Trunk", self.trunk)

    def stem(self, column: str) -> Stem:
        """The stem of an input column."""
        return cast("Stem", self.stems[safe_key(column)])

    def head(self, target: str) -> nn.Module:
        """The head of a target, `[B, D] -> [B, K]`, or `[B, L, D] -> [B, L, K]` of a dense one."""
        return self.heads[safe_key(target)]

    def embed(self, inputs: Inputs) -> Tensor:
        """The continuous input `[B, L, D]`; several columns stand one after the other along L.

        The second of a pair is told how many positions each row has before it.
        """
        parts: list[Tensor] = []
        for at, column in enumerate(self.columns):
            stem: Any = self.stem(column)
            if getattr(stem, "second", False):
                parts.append(stem(inputs[column], before=self._counted(inputs, self.columns[:at])))
            else:
                parts.append(stem(inputs[column]))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _counted(self, inputs: Inputs, columns: Sequence[str]) -> Tensor | None:
        """Real positions of each row in these columns, `[B]`; None of no column."""
        real = [(self._full(inputs, column, self.stem(column).mask(inputs[column])) > 0).sum(1) for column in columns]
        return torch.stack(real).sum(0) if real else None

    def mask(self, inputs: Inputs) -> Tensor | None:
        """Segment numbers `[B, L]`, 0 at padding; None where nothing is padded and all is one segment.

        Segments of one number see each other, across columns too.
        """
        masks = [self.stem(column).mask(inputs[column]) for column in self.columns]
        if all(mask is None for mask in masks):
            return None
        if len(masks) == 1:
            return masks[0]
        return torch.cat([self._full(inputs, *pair) for pair in zip(self.columns, masks, strict=True)], dim=1)

    def present(self, inputs: Inputs) -> Tensor:
        """Ones `[B, 1]`: every row has a value."""
        column = self.columns[0]
        return self._full(inputs, column, None)[:, :1]

    def output_mask(self, inputs: Inputs) -> Tensor:
        """`mask` for the positions the trunk gives, ones where all are real, `[B, L]`."""
        if self._trunk.spatial:
            return self.present(inputs).expand(-1, self._trunk.positions)
        mask = self.mask(inputs)
        if mask is not None:
            return mask
        return torch.cat([self._full(inputs, column, None) for column in self.columns], dim=1)

    def encode(
        self, embedded: Tensor, mask: Tensor | None = None, memory: Tensor | None = None, *, start: int = 0
    ) -> Output:
        """Everything above the stem.

        Args:
            embedded: `[B, L, D]`: what `embed` gave, or `lower(inputs, stop=start)`.
            mask: What `mask` gave.
            memory: For decoders that read an encoder; no trunk here takes it.
            start: First trunk layer to run.
        """
        if memory is not None:
            raise ValueError("this model has no decoder that reads memory; pass memory=None")
        hidden = self._trunk(embedded, mask, start=start)
        features = self.pooling(hidden, mask)
        logits = {target: self._said(target, hidden if target in self.dense else features) for target in self.targets}
        return Output(hidden, features, logits, mask)

    def _said(self, target: str, seen: Tensor) -> Tensor:
        """The logits of one target; a tied head reads the vectors of its stem besides."""
        head = self.heads[safe_key(target)]
        column = getattr(head, "column", None)
        logits: Tensor = head(seen) if column is None else head(seen, cast("Any", self.stem(column)).vectors)
        return logits

    def lower(self, inputs: Inputs, stop: int) -> Tensor:
        """What enters trunk layer `stop`, `[B, L, D]`: the stem and the layers below."""
        return self._trunk(self.embed(inputs), self.mask(inputs), stop=stop)

    def layer_of(self, parameter: str) -> int:
        """How high a parameter stands: 0 stem, 1 to `depth` trunk layers, `depth + 1` pooling and heads.

        A stem that starts from nothing below a trained trunk stands with the heads: it has as much to learn. What every
        layer of the trunk reads stands as low as the first: were it to change, frozen layers would not rest.
        """
        room, *path = parameter.split(".")
        if room == "trunk":
            low = 1 if path[0] in getattr(self.trunk, "below", ()) else self.depth
            return int(path[1]) + 1 if path[0] == "layers" else low
        if room != "stems":
            return self.depth + 1
        fresh = self.trained is not None and path[0] not in {safe_key(column) for column in self.trained}
        return self.depth + 1 if fresh else 0

    def forward(self, inputs: Inputs) -> Output:
        """`encode` of `embed`."""
        return self.encode(self.embed(inputs), self.mask(inputs))

    def _full(self, inputs: Inputs, column: str, mask: Tensor | None) -> Tensor:
        if mask is not None:
            return mask
        first: Any = next(iter(inputs[column].values()))
        return torch.ones(self.stem(column).size(inputs[column]), dtype=torch.long, device=first.device)


def safe_key(name: str) -> str:
    """A distinct module name for any column or target; identifiers stay as they are.

    >>> safe_key("text"), safe_key("is it good?"), safe_key("a.b")
    ('text', '%is%20it%20good%3F', '%a%2Eb')
    """
    if name.isidentifier() and name.isascii() and not hasattr(nn.ModuleDict, name):
        return name
    return "%" + quote(name, safe="").replace(".", "%2E")
