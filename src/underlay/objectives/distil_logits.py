"""Answer as the teacher answers: its probabilities are the target."""

from torch import Tensor
from torch.nn import functional as F

from underlay.core import UsageError
from underlay.core.schema import Task
from underlay.objectives.arguments import is_number
from underlay.objectives.means import row_weights, weighted_mean
from underlay.objectives.teacher import heard, taught_logits
from underlay.objectives.term import LossTerm, Step, stateless

TEMPERATURE = 2.0
"""Small: the teacher is calibrated before, and few labels leave little to be ranked below the first. Hinton et al.
(section 3) found 2.5 to 4 best for a very small student, and more for larger ones."""


def distil_logits(
    temperature: float | None = None, *, task: Task = "multiclass", target: str | None = None
) -> LossTerm:
    """Kullback-Leibler divergence from the teacher's probabilities to the student's, mean over rows.

    Both are taken at a temperature, and the loss is multiplied by its square, so that its gradient keeps its size. Of
    multilabel targets it is the mean over labels of one yes-or-no question each; of numbers the squared difference.
    Reads the extra column `teacher.logits.TARGET`; rows where that is NaN cost nothing, and labels are not looked at.

    Args:
        temperature: Divides the logits of both, > 0: large shows the student how the teacher ranks unlikely labels;
            None: 2. A number has none.
        task: The target's task; a recipe's objective says it by itself.
        target: Which target; None: the only one.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015, section 2 (their cross-entropy, less the
    teacher's entropy, which no student changes).

    >>> distil_logits(0.0)
    Traceback (most recent call last):
    underlay.core.errors.UsageError: temperature is 0.0 — give a finite number > 0
    """
    if temperature is not None and not (is_number(temperature) and temperature > 0):
        raise UsageError(f"temperature is {temperature!r}", "give a finite number > 0")
    if task == "regression" and temperature is not None:
        raise UsageError(f"temperature is {temperature!r} and the target is a number, which has none", "leave it out")
    heat = 1.0 if task == "regression" else TEMPERATURE if temperature is None else temperature
    differ = {"multilabel": _by_label, "regression": _by_number}.get(task, _by_class)

    def loss(step: Step) -> Tensor:
        said, told = taught_logits(step, target, asker="distil_logits")  # [B, K]
        known = heard(told)
        # Replaced before the arithmetic: NaN times 0 would still be NaN in the gradient.
        told = told.where(known.unsqueeze(-1), said.detach())
        losses = heat**2 * differ(said / heat, told / heat)  # [B]
        counts = known * row_weights(step.batch, losses)
        return weighted_mean(losses * counts, counts)

    return stateless(loss)


def _by_class(said: Tensor, told: Tensor) -> Tensor:
    student, teacher = said.log_softmax(-1), told.log_softmax(-1)
    return (teacher.exp() * (teacher - student)).sum(-1)


def _by_label(said: Tensor, told: Tensor) -> Tensor:
    yes = told.sigmoid() * (F.logsigmoid(told) - F.logsigmoid(said))
    no = (-told).sigmoid() * (F.logsigmoid(-told) - F.logsigmoid(-said))
    return (yes + no).mean(-1)


def _by_number(said: Tensor, told: Tensor) -> Tensor:
    return (said - told).square().squeeze(-1)
