"""The bag trunk: positions as they are, in no order. What a row says is the mean of its words.

Source: Joulin et al., Bag of Tricks for Efficient Text Classification, EACL 2017; Tang et al., Distilling
Task-Specific Knowledge from BERT, 2019, have a large model teach a small one of another kind.
"""

from underlay.models.registries import TRUNKS
from underlay.models.trunks.identity import Unchanged


@TRUNKS("bag.v1")
class BagTrunk(Unchanged):
    """What enters leaves, 0 at padding: the stem's vectors learn, and the pooling takes their mean.

    It says that it knows the order so that no stem adds positions, which would put one into the mean.

    Args:
        width: D.
        dropout: There is nothing to drop; every trunk takes it.

    >>> import torch
    >>> BagTrunk(width=3)(torch.ones(1, 2, 3), torch.tensor([[1, 0]])).tolist()
    [[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]
    """
