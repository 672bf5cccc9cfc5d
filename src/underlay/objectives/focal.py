"""Cross-entropy that looks away from what is already learned."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from underlay.objectives.arguments import check_class_weights, check_not_negative
from underlay.objectives.cross_entropy import label_weights
from underlay.objectives.means import UNLABELLED, position_weights, weighted_mean
from underlay.objectives.term import LossTerm, Step, stateless


def focal(gamma: float = 2.0, *, class_weights: Sequence[float] | None = None, target: str | None = None) -> LossTerm:
    """Cross-entropy times `(1 - p)^gamma`, p the probability of the row's label.

    The mean is that of `cross_entropy`, so `gamma = 0` is cross-entropy exactly; the paper divides by
    the number of anchors instead.

    Args:
        gamma: How fast an easy row stops counting; >= 0.
        class_weights: One number a class, in label order, >= 0 (the paper's alpha); None: all alike.
        target: Which target; None: the only one.

    Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, section 3.

    >>> focal(-1.0)
    Traceback (most recent call last):
    underlay.core.errors.UsageError: gamma is -1.0 — give a finite number >= 0
    """
    check_not_negative("gamma", gamma)
    check_class_weights("class_weights", class_weights)

    def loss(step: Step) -> Tensor:
        logits: Tensor = step.output.logit(target).float()  # [B, K] or [B, L, K]
        labels: Tensor = step.batch.target(target)  # [B] or [B, L]
        log_p = logits.log_softmax(-1)
        own = labels.clamp_min(0).unsqueeze(-1)
        # log(1 - p) as the mass of the other classes: exact near p = 1, where 1 - exp(log p) is 0.
        log_miss = log_p.scatter(-1, own, float("-inf")).logsumexp(-1)  # as labels
        missed = functional.nll_loss(
            log_p.flatten(0, -2), labels.flatten(), ignore_index=UNLABELLED, reduction="none"
        ).view_as(labels)
        losses = (gamma * log_miss).exp() * missed
        by_class = logits.new_tensor(class_weights) if class_weights is not None else None
        counts = position_weights(step.batch, losses) * label_weights(labels, by_class, like=losses)
        return weighted_mean(losses * counts, counts)

    return stateless(loss)
