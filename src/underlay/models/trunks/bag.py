"""The bag trunk: positions as they are, in no order. What a row says is the mean of its words.

Source: Joulin et al., Bag of Tricks for Efficient Text Classification, EACL 2017; Tang et al., Distilling
Task-Specific Knowledge from BERT, 2019, have a large model teach a small one of another kind.
"""

from torch import Tensor, nn

from underlay.models.registries import TRUNKS, check_sizes


@TRUNKS("bag.v1")
class BagTrunk(nn.Module):
    """What enters leaves, 0 at padding: the stem's vectors learn, and the pooling takes their mean.

    It says that it knows the order so that no stem adds positions, which would put one into the mean.

    Args:
        width: D.
        dropout: There is nothing to drop; every trunk takes it.

    >>> import torch
    >>> BagTrunk(width=3)(torch.ones(1, 2, 3), torch.tensor([[1, 0]])).tolist()
    [[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]
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
        self, embedded: Tensor, mask: Tensor | None = None, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """`[B, L, D]` in and out."""
        return embedded if mask is None else embedded * (mask > 0).unsqueeze(-1)
