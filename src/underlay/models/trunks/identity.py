"""No trunk at all, under the name of one: a head straight on fixed features."""

from torch import Tensor, nn

from underlay.models.registries import TRUNKS, check_sizes


class Unchanged(nn.Module):
    """A trunk without layers: what enters leaves, 0 at padding.

    Args:
        width: D.
        dropout: There is nothing to drop; every trunk takes it.
    """

    ordered = True
    spatial = False
    positions = 0

    def __init__(self, *, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_sizes(width=width, depth=0)
        self.width = self.channels = width
        self.layers = nn.ModuleList()

    def forward(
        self,
        embedded: Tensor,
        mask: Tensor | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
    ) -> Tensor:
        """`[B, L, D]` in and out."""
        return embedded if mask is None else embedded * (mask > 0).unsqueeze(-1)


@TRUNKS("identity.v1")
class IdentityTrunk(Unchanged):
    """What enters leaves; 0 at padding.

    It takes its `width` from the features it stands on (`fixed`): see `models.building`.

    Args:
        width: D.
        dropout: There is nothing to drop; every trunk takes it.

    >>> import torch
    >>> IdentityTrunk(width=3)(torch.ones(1, 2, 3), torch.tensor([[1, 0]])).tolist()
    [[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]
    """

    fixed = True
