"""Optimisers by name over parameter groups with layer-wise learning rates."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from underlay.core import Registry

Groups = Sequence[dict[str, Any]]
"""Parameter groups; each has `params`, `lr`, `weight_decay`, and `scale`: its share of the run's learning rate."""

OPTIMIZERS: Registry[Callable[[Groups], torch.optim.Optimizer]] = Registry("optimizer")


@OPTIMIZERS("adamw.v1")
def adamw(groups: Groups) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, one fused kernel a step.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
    """
    return torch.optim.AdamW(list(groups), betas=(0.9, 0.999), eps=1e-8, fused=True)


@OPTIMIZERS("adafactor.v1")
def adafactor(groups: Groups) -> torch.optim.Optimizer:
    """Adam's second moments in rows and columns: far less memory for large matrices.

    Source: Shazeer and Stern, Adafactor, ICML 2018.
    """
    return torch.optim.Adafactor(list(groups))


@OPTIMIZERS("sgd.v1")
def sgd(groups: Groups) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum 0.9."""
    return torch.optim.SGD(list(groups), momentum=0.9, nesterov=True, fused=True)


def parameter_groups(
    module: nn.Module,
    *,
    layer_of: Callable[[str], int],
    depth: int,
    learning_rate: float,
    head_factor: float,
    layer_decay: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Group what learns by its layer's rate and by whether it decays.

    Args:
        module: Only parameters with `requires_grad` are taken.
        layer_of: Parameter name -> 0 for the stem, 1..depth for the trunk's layers, depth + 1 for heads.
        depth: Layers of the trunk.
        learning_rate: Of the topmost trunk layer.
        head_factor: Rate of pooling and heads over `learning_rate`; they start from nothing.
        layer_decay: Rate of a layer over that of the layer above; 1 = all alike.
        weight_decay: On matrices; vectors (biases, norms) do not decay.

    Source: Howard and Ruder, ULMFiT, ACL 2018, sec. 3.2 (discriminative fine-tuning).
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = layer_of(name)
        scale = head_factor if layer > depth else layer_decay ** (depth - layer)
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((scale, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": learning_rate * scale, "weight_decay": decay, "scale": scale}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]
