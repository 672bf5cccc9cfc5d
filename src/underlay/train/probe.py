"""Linear probe: a head fitted on frozen features, where fine-tuning then starts.

Source: Kumar et al., Fine-Tuning can Distort Pretrained Features, ICLR 2022 (LP-FT).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from underlay.core import Batch, Model, Rows
from underlay.train.batching import plan_sweep
from underlay.train.dense import NOTHING_ASKED, AskedPositions
from underlay.train.memory import give_back


@dataclass(frozen=True)
class Features:
    """What a frozen model says of many rows.

    Args:
        features: Pooled, `[N, D]`.
        logits: By target, `[N, K]`.
        asked: By dense target: what was said at the positions that have a label.
    """

    features: Tensor
    logits: dict[str, Tensor]
    asked: dict[str, "Asked"] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A dense target at the positions that have a label, P of a row, N rows.

    Args:
        labels: A row each, `[P]`.
        logits: A row each, `[P, K]`.
        hidden: A row each, `[P, D]`; none where they were not wanted.
    """

    labels: list[Tensor]
    logits: list[Tensor]
    hidden: list[Tensor] = field(default_factory=list)


def sweep(
    model: Model,
    rows: Rows,
    *,
    batch_tokens: int,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
    hidden: bool = False,
) -> Features:
    """Run the model over every row once, in eval mode; the answers come in the order of the rows.

    Of a dense target only what stands at labelled positions is kept, in `asked`.

    Args:
        model: What answers.
        rows: What is asked.
        batch_tokens: Most positions at a time.
        device: Where the model is.
        progress: Called with (positions done, of all).
        hidden: Keep the vectors under dense heads too.
    """
    features: list[Tensor] = []
    logits: dict[str, list[Tensor]] = {}
    dense: dict[str, dict[str, AskedPositions]] = {}
    order: list[np.ndarray] = []
    done, total = 0, int(rows.lengths.sum())
    for picked in plan_sweep(rows.lengths, batch_tokens=batch_tokens, batch_rows=1024):
        batch: Batch = rows.batch(picked.tolist()).map(lambda array: torch.from_numpy(array).to(device))
        with torch.inference_mode():
            output = model.encode(model.embed(batch.inputs), model.mask(batch.inputs))
        features.append(output.features.float().cpu())
        for target, values in output.logits.items():
            if values.ndim == 2:
                logits.setdefault(target, []).append(values.float().cpu())
                continue
            labels = batch.targets[target]
            kept = {"labels": labels, "logits": values, **({"hidden": output.hidden} if hidden else {})}
            for name, found in kept.items():
                dense.setdefault(target, {}).setdefault(name, AskedPositions()).add(found, labels != NOTHING_ASKED)
        order.append(picked)
        done += int(rows.lengths[picked].sum())
        progress(done, total)
    give_back()
    seen = np.concatenate(order)
    back = torch.from_numpy(np.argsort(seen, kind="stable"))
    return Features(
        torch.cat(features).index_select(0, back),
        {target: torch.cat(parts).index_select(0, back) for target, parts in logits.items()},
        {
            target: Asked(**{name: positions.rows(seen) for name, positions in kept.items()})
            for target, kept in dense.items()
        },
    )


def fit_head(
    head: nn.Module,
    features: Tensor,
    loss: Callable[[Any], Tensor],
    *,
    penalty: float = 1e-2,
    steps: int = 100,
) -> None:
    """Fit `head` on fixed features with L-BFGS; its parameters change in place.

    Args:
        head: `[N, D] -> [N, K]`.
        features: `[N, D]`: of rows, or of positions.
        loss: What the head gives (logits `[N, K]`) -> scalar.
        penalty: On the squared weights and biases; keeps a separable problem finite.
        steps: Most iterations.
    """
    parameters: Sequence[nn.Parameter] = [parameter for parameter in head.parameters() if parameter.requires_grad]
    optimizer = torch.optim.LBFGS(parameters, max_iter=steps, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(head(features)) + penalty * torch.stack([p.square().sum() for p in parameters]).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    head.eval()
    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()
