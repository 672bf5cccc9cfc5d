"""Squared distance to a number: regression targets."""

from torch import Tensor

from underlay.objectives.means import row_weights, weighted_mean
from underlay.objectives.term import LossTerm, Step, stateless


def squared_error(*, target: str | None = None) -> LossTerm:
    """Mean squared error of the single logit, over the rows whose target is a number (not NaN).

    Give standardised targets: the loss is in squared units of the target.

    Args:
        target: Which target; None: the only one.

    >>> squared_error().coupled
    False
    """

    def loss(step: Step) -> Tensor:
        predicted: Tensor = step.output.logit(target).float().squeeze(-1)  # [B]
        truth: Tensor = step.batch.target(target).to(predicted)  # [B]
        labelled = ~truth.isnan()
        # The row is replaced before the subtraction: NaN times 0 would still be NaN in the gradient.
        losses = (predicted - truth.where(labelled, predicted.detach())).square()
        counts = labelled * row_weights(step.batch, losses)
        return weighted_mean(losses * counts, counts)

    return stateless(loss)
