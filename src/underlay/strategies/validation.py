"""How a run is judged while it runs: quick figures on validation rows, no intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from underlay.core import Schema, Target, are_span_tags, find_spans
from underlay.train import Asked


def validation_score(
    schema: Schema,
    logits: Mapping[str, Tensor],
    targets: Mapping[str, np.ndarray],
    *,
    asked: Mapping[str, Asked] | None = None,
) -> tuple[list[float], dict[str, float]]:
    """A score whose larger is better, compared in order, and the figures to record.

    Accuracy (or micro F1, or F1 of spans, or minus the error) decides, the loss breaks ties; several targets count
    alike.

    Args:
        schema: The targets.
        logits: By target, `[N, K]`.
        targets: By target, as the loss sees them.
        asked: By dense target.
    """
    figures = {
        target.name: _dense_figures(target, (asked or {})[target.name])
        if target.dense
        else _figures(target, logits[target.name], targets[target.name])
        for target in schema.targets
    }
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


def _dense_figures(target: Target, asked: Asked) -> tuple[float, float, dict[str, float]]:
    logits, labels = torch.cat(asked.logits), torch.cat(asked.labels).long()
    loss = float(F.cross_entropy(logits, labels)) if len(labels) else 0.0
    accuracy = float((logits.argmax(-1) == labels).float().mean()) if len(labels) else 0.0
    if target.ranked:
        gain = float(ranking_gain(logits, labels)) if len(labels) else 0.0
        return gain, -loss, {"loss": loss, "ndcg@10": gain}
    record = {"loss": loss, "accuracy": accuracy}
    if not (target.by_unit and are_span_tags(target.labels)):
        return accuracy, -loss, record
    names = [[[target.labels[int(at)] for at in row] for row in rows] for rows in (asked.labels, _said(asked))]
    found = spans_f1(*names)
    return found, -loss, {"loss": loss, "f1": found, "accuracy": accuracy}


def ranking_gain(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean NDCG@10 over all labels, the one that came being the only relevant one.

    >>> ranking_gain(torch.tensor([[0.0, 2.0, 1.0]]), torch.tensor([1]))
    tensor(1.)
    """
    own = logits.gather(-1, labels.unsqueeze(-1))
    places = (logits >= own).sum(-1)
    return torch.where(places <= 10, 1 / torch.log2(1.0 + places), 0.0).mean()


def _said(asked: Asked) -> list[Tensor]:
    return [row.argmax(-1) for row in asked.logits]


def spans_f1(truth: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> float:
    """F1 of the spans of all rows together, right where both ends and the kind are; 1 where there are none.

    >>> spans_f1([["B-a", "O"]], [["B-a", "B-a"]])
    0.6666666666666666
    """
    pairs = [(set(find_spans(one)), set(find_spans(other))) for one, other in zip(truth, said, strict=True)]
    both, either = sum(len(one & other) for one, other in pairs), sum(len(one) + len(other) for one, other in pairs)
    return 2 * both / either if either else 1.0


def micro_f1(predicted: Tensor, truth: Tensor) -> float:
    """F1 of all decisions together; 1 where nothing was to be found and nothing was.

    >>> micro_f1(torch.tensor([[True, False]]), torch.tensor([[True, True]]))
    0.6666666666666666
    """
    both, either = int((predicted & truth).sum()), int(predicted.sum()) + int(truth.sum())
    return 2 * both / either if either else 1.0
