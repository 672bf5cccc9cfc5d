"""One yes-or-no question a label: multilabel targets."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from underlay.objectives.arguments import check_class_weights, check_fraction
from underlay.objectives.means import UNLABELLED, row_weights, weighted_mean
from underlay.objectives.term import LossTerm, Step, stateless


def binary_cross_entropy(
    label_smoothing: float = 0.0, *, positive_weights: Sequence[float] | None = None, target: str | None = None
) -> LossTerm:
    """Sigmoid cross-entropy, mean over the labelled cells of `[B, K]`; cells of -100 cost nothing.

    Args:
        label_smoothing: Moves 0 and 1 towards one half by half of this; 0 to below 1.
        positive_weights: One number a label, in label order, >= 0: how much its yes counts against its
            no; None: all alike.
        target: Which target; None: the only one.

    >>> binary_cross_entropy(positive_weights=[1.0, -2.0])
    Traceback (most recent call last):
    underlay.core.errors.UsageError: positive_weights[1] is -2.0 — give a finite number >= 0
    """
    check_fraction("label_smoothing", label_smoothing)
    check_class_weights("positive_weights", positive_weights)

    def loss(step: Step) -> Tensor:
        logits: Tensor = step.output.logit(target).float()  # [B, K]
        truth: Tensor = step.batch.target(target).to(logits)  # [B, K]
        labelled = truth != UNLABELLED  # [B, K]
        smooth = truth.where(labelled, 0.0) * (1.0 - label_smoothing) + label_smoothing / 2
        yes = logits.new_tensor(positive_weights) if positive_weights is not None else None
        losses = functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=yes, reduction="none")  # [B, K]
        counts = labelled * row_weights(step.batch, logits).unsqueeze(-1)  # [B, K]
        return weighted_mean(losses * counts, counts)

    return stateless(loss)
