"""How a run is judged while it runs: quick figures on validation rows, no intervals."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from underlay.core import Schema, Target


def validation_score(
    schema: Schema, logits: Mapping[str, Tensor], targets: Mapping[str, np.ndarray]
) -> tuple[list[float], dict[str, float]]:
    """A score whose larger is better, compared in order, and the figures to record.

    Accuracy (or micro F1, or minus the error) decides, the loss breaks ties; several targets count alike.

    Args:
        schema: The targets.
        logits: By target, `[N, K]`.
        targets: By target, as the loss sees them.
    """
    figures = {target.name: _figures(target, logits[target.name], targets[target.name]) for target in schema.targets}
    score = [float(np.mean([one[index] for one in figures.values()])) for index in (0, 1)]
    single = len(schema.targets) == 1
    record = {
        (key if single else f"{name}/{key}"): value
        for name, (_, _, shown) in figures.items()
        for key, value in shown.items()
    }
    return score, record


def _figures(target: Target, logits: Tensor, truth: np.ndarray) -> tuple[float, float, dict[str, float]]:
    values = torch.from_numpy(truth)
    if target.task == "regression":
        error = float(F.mse_loss(logits[:, 0], values))
        return -error, -error, {"loss": error}
    if target.task == "multilabel":
        known = (values >= 0).all(-1)
        loss = float(F.binary_cross_entropy_with_logits(logits[known], values[known]))
        f1 = micro_f1(logits[known] > 0, values[known] > 0)
        return f1, -loss, {"loss": loss, "micro_f1": f1}
    loss = float(F.cross_entropy(logits, values))
    known = values >= 0
    accuracy = float((logits.argmax(-1) == values)[known].float().mean())
    return accuracy, -loss, {"loss": loss, "accuracy": accuracy}


def micro_f1(predicted: Tensor, truth: Tensor) -> float:
    """F1 of all decisions together; 1 where nothing was to be found and nothing was.

    >>> micro_f1(torch.tensor([[True, False]]), torch.tensor([[True, True]]))
    0.6666666666666666
    """
    both, either = int((predicted & truth).sum()), int(predicted.sum()) + int(truth.sum())
    return 2 * both / either if either else 1.0
