"""Softmax cross-entropy against class labels."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from underlay.objectives.arguments import check_class_weights, check_fraction
from underlay.objectives.means import UNLABELLED, position_weights, weighted_mean
from underlay.objectives.term import LossTerm, Step, stateless


def cross_entropy(
    label_smoothing: float = 0.0, *, class_weights: Sequence[float] | None = None, target: str | None = None
) -> LossTerm:
    """Softmax cross-entropy, mean over the labelled rows, or positions of a dense target; a binary one has two logits.

    The mean is weighted by the row's weight (extra column `weight`) times its class's, as
    `torch.nn.functional.cross_entropy` does with class weights alone. Rows labelled -100 cost nothing.

    Args:
        label_smoothing: Share of the probability spread over all classes; 0 to below 1.
        class_weights: One number a class, in label order, >= 0; None: all alike.
        target: Which target; None: the only one.

    Source: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7 (smoothing).

    >>> cross_entropy(1.5)
    Traceback (most recent call last):
    underlay.core.errors.UsageError: label_smoothing is 1.5 — give a number from 0 to below 1
    """
    check_fraction("label_smoothing", label_smoothing)
    check_class_weights("class_weights", class_weights)

    def loss(step: Step) -> Tensor:
        logits: Tensor = step.output.logit(target).float()  # [B, K] or [B, L, K]; half precision overflows in the sum
        labels: Tensor = step.batch.target(target)  # [B] or [B, L]
        by_class = logits.new_tensor(class_weights) if class_weights is not None else None
        losses = functional.cross_entropy(
            logits.flatten(0, -2),
            labels.flatten(),
            by_class,
            ignore_index=UNLABELLED,
            reduction="none",
            label_smoothing=label_smoothing,
        ).view_as(labels)
        rows = position_weights(step.batch, losses)
        return weighted_mean(losses * rows, rows * label_weights(labels, by_class, like=losses))

    return stateless(loss)


def label_weights(labels: Tensor, by_class: Tensor | None, *, like: Tensor) -> Tensor:
    """The weight of each label, `[B]` or `[B, L]`; 0 where there is none."""
    labelled = labels != UNLABELLED
    if by_class is None:
        return labelled.to(like)
    return by_class[labels.where(labelled, 0)] * labelled
