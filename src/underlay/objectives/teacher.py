"""What a teacher said of the rows, as the columns that distillation terms read."""

from torch import Tensor

from underlay.core import DataError, UsageError
from underlay.objectives.term import Step

FEATURES = "teacher.features"
"""Extra column: the teacher's pooled vectors, `[B, D]`."""

HIDDEN = "teacher.hidden"
"""Extra column: the teacher's vectors at the positions of each row in order, `[B, P, D]`, NaN behind its last."""

PROJECTION = "to_teacher"
"""Module of the model being trained that takes its vectors to the teacher's width; no part of a bundle."""


def layer_column(layer: int) -> str:
    """Extra column: the teacher's vectors behind the layer that layer `layer` of the student answers to, from 1.

    >>> layer_column(2)
    'teacher.hidden.2'
    """
    return f"{HIDDEN}.{layer}"


def logits_column(target: str) -> str:
    """Extra column: calibrated log-probabilities `[B, K]`, log-odds of multilabel, the scaled number `[B, 1]`.

    >>> logits_column("label")
    'teacher.logits.label'
    """
    return f"teacher.logits.{target}"


def taught_logits(step: Step, target: str | None, *, asker: str) -> tuple[Tensor, Tensor]:
    """The student's logits and the teacher's, both `[B, K]` in single precision.

    Raises:
        MissingColumn: The batch has no answers of a teacher.
        DataError: They are of another shape.
    """
    name = next(iter(step.output.logits)) if target is None and len(step.output.logits) == 1 else target
    said: Tensor = step.output.logit(name).float()
    told: Tensor = step.batch.column(logits_column(str(name)), asker).to(said)
    if told.shape != said.shape:
        raise DataError(
            f"{asker}: the teacher's answers have the shape {list(told.shape)}, the student's {list(said.shape)}",
            "give one number a row and label",
        )
    return said, told


def heard(told: Tensor) -> Tensor:
    """Which rows the teacher could answer, `[B]`: those without NaN in `[B, ...]`."""
    return told.flatten(1).isfinite().all(1)


def projected(step: Step, vectors: Tensor, width: int, *, asker: str) -> Tensor:
    """The student's vectors at the teacher's width, `[..., D]` -> `[..., width]`, through what the model learns for it.

    Args:
        step: Its model may have a `PROJECTION`.
        vectors: The student's.
        width: Of the teacher's.
        asker: The term, for messages.

    Raises:
        UsageError: The widths differ and the model has no projection to that width.
    """
    weights = [one for name, one in step.model.named_parameters() if name.endswith(f"{PROJECTION}.weight")]
    if weights:
        vectors = vectors @ weights[0].t().to(vectors)
    if vectors.shape[-1] != width:
        raise UsageError(
            f"{asker}: the student's vectors are {vectors.shape[-1]} wide, the teacher's {width}",
            f"give the model a linear layer '{PROJECTION}' between them, as `distil` does",
        )
    return vectors
