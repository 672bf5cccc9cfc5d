"""Several trunks side by side under one fusion: a model of several signals at once."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from underlay.core import Inputs, Output
from underlay.models.linear import Linear
from underlay.models.model import SignalModel, safe_key


class FusedModel(nn.Module):
    """Branches, each a model without heads over some of the columns; a fusion of what they say; heads.

    `embed` is cut where the branches end: `[B, M, D]` with one vector a branch, or all their positions where the fusion
    reads them. Its mask holds the number of the branch, so that a branch can be taken out of a row by a 0.

    Args:
        branches: In order.
        width: D, to which every branch is projected.
        fusion: What makes one vector of them.
        heads: By target.
        branch_dropout: Share of rows that lose one branch while training; each keeps at least one.
    """

    def __init__(
        self,
        branches: Sequence[SignalModel],
        *,
        width: int,
        fusion: nn.Module,
        heads: dict[str, nn.Module],
        branch_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.projections = nn.ModuleList(Linear(branch.width, width) for branch in branches)
        self.norm = nn.LayerNorm(width)
        self.fusion = fusion
        self.heads = nn.ModuleDict({safe_key(target): head for target, head in heads.items()})
        self.columns = tuple(column for branch in branches for column in branch.columns)
        self.targets = tuple(heads)
        self.width = width
        self.branch_dropout = branch_dropout

    @property
    def parts(self) -> list[SignalModel]:
        """The branches."""
        return [cast("SignalModel", branch) for branch in self.branches]

    @property
    def depth(self) -> int:
        """Layers of the deepest branch."""
        return max(branch.depth for branch in self.parts)

    def head(self, target: str) -> nn.Module:
        """The head of a target, `[B, features] -> [B, K]`."""
        return self.heads[safe_key(target)]

    def embed(self, inputs: Inputs) -> Tensor:
        """What the branches say, `[B, M, D]`, or `[B, L, D]` of all their positions."""
        whole = bool(self.fusion.whole)
        said = []
        for branch, project in zip(self.parts, self.projections, strict=True):
            output = branch(inputs)
            said.append(project(output.hidden if whole else output.features.unsqueeze(1)))
        embedded: Tensor = self.norm(torch.cat(said, dim=1))
        return embedded

    def mask(self, inputs: Inputs) -> Tensor:
        """The number of the branch each position comes from, 1 and up; 0 at padding."""
        masks = []
        for number, branch in enumerate(self.parts, start=1):
            full = branch.output_mask(inputs) if self.fusion.whole else branch.present(inputs)
            masks.append((full > 0).long() * number)
        return torch.cat(masks, dim=1)

    def encode(self, embedded: Tensor, mask: Tensor | None = None, memory: Tensor | None = None) -> Output:
        """The fusion and the heads.

        Args:
            embedded: What `embed` gave.
            mask: What `mask` gave.
            memory: For decoders that read an encoder; no fusion takes it.
        """
        if memory is not None or mask is None:
            raise ValueError("a fused model has no decoder that reads memory, and needs the mask that `mask` gives")
        if self.training and self.branch_dropout > 0:
            mask = self._without_a_branch(mask)
        features = self.fusion(embedded, mask)
        logits = {target: self.heads[safe_key(target)](features) for target in self.targets}
        return Output(embedded, features, logits, mask)

    def layer_of(self, parameter: str) -> int:
        """How high a parameter stands: the tops of all branches at `depth`, what is above or starts anew over it."""
        room, *path = parameter.split(".")
        if room != "branches":
            return self.depth + 1
        branch = self.parts[int(path[0])]
        trained = [part.trained is not None for part in self.parts]
        if any(trained) and branch.trained is None:
            return self.depth + 1
        layer = branch.layer_of(".".join(path[1:]))
        return 0 if layer == 0 else layer + self.depth - branch.depth

    def forward(self, inputs: Inputs) -> Output:
        """`encode` of `embed`."""
        return self.encode(self.embed(inputs), self.mask(inputs))

    def _without_a_branch(self, mask: Tensor) -> Tensor:
        """Take one branch out of a share of the rows, where another is left."""
        count = len(self.branches)
        chosen = torch.randint(1, count + 1, (len(mask), 1))
        hit = torch.rand(len(mask), 1) < self.branch_dropout
        dropped = mask.masked_fill((mask == chosen.to(mask.device)) & hit.to(mask.device), 0)
        return torch.where((dropped > 0).any(dim=1, keepdim=True), dropped, mask)
