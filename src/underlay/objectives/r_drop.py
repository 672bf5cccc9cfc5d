"""Two passes with different dropout should say the same."""

from torch import Tensor
from torch.nn import functional

from underlay.objectives.means import position_weights, weighted_mean
from underlay.objectives.term import LossTerm, Step, stateless


def r_drop(target: str | None = None) -> LossTerm:
    """The distance between what two passes over a row say, of which each drops other values: one more pass a step.

    Half the sum of both Kullback-Leibler divergences, mean over rows, or over the positions of a dense target, with the
    row's weight (extra column `weight`). It needs no label: rows without one count too. Without dropout it is 0. The
    paper's weight beside the cross-entropy is 1 to 5.

    Args:
        target: Which target; None: the only one.

    Source: Liang et al., R-Drop: Regularized Dropout for Neural Networks, NeurIPS 2021, equation 3; there both passes
    also pay the cross-entropy, here the first alone.

    >>> r_drop().coupled
    False
    """

    def loss(step: Step) -> Tensor:
        one = step.output.logit(target).float().log_softmax(-1)  # [B, K] or [B, L, K]
        other = step.rerun(step.embedded).output.logit(target).float().log_softmax(-1)
        pairs = ((one, other), (other, one))
        there, back = (functional.kl_div(a, b, reduction="none", log_target=True) for a, b in pairs)
        apart = (there + back).sum(-1) / 2  # [B] or [B, L]
        counted = position_weights(step.batch, apart).expand_as(apart)
        if apart.ndim > 1 and step.output.mask is not None:
            counted = counted * (step.output.mask > 0)
        return weighted_mean(apart * counted, counted)

    return stateless(loss)
