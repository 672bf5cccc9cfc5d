"""How much the loss depends on each head, feed-forward unit and layer of a transformer, read from gradients.

A gate of 1 stands before each of them; the slope of the loss at the gate says, to first order, what closing it costs.

Source: Michel et al., Are Sixteen Heads Really Better than One?, NeurIPS 2019, section 4.1 (heads: the mean over rows
of the absolute slope); Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, equation 8 with a
gate behind each unit. Where the latter squares, the absolute value is taken here as well: one odd row then weighs less.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from underlay.core import Batch
from underlay.models.trunks.transformer import TransformerTrunk


@dataclass(frozen=True)
class Importance:
    """Of the units of one trunk, each at least 0; larger is dearer.

    Args:
        heads: By layer, `[H]`.
        inner: By layer, feed-forward units, `[F]`.
        layers: Of each layer as a whole, `[depth]`.
    """

    heads: tuple[Tensor, ...]
    inner: tuple[Tensor, ...]
    layers: Tensor


def importance(model: nn.Module, batches: Iterable[Batch], loss: Callable[[Batch], Tensor]) -> dict[str, Importance]:
    """The importance of the units of every transformer trunk, by the trunk's name in the model.

    Args:
        model: In evaluation mode; nothing of it changes.
        batches: As tensors, of one row each: slopes of rows taken together would cancel.
        loss: Of a batch, by the model.
    """
    trunks = {name: module for name, module in model.named_modules() if isinstance(module, TransformerTrunk)}
    gates = {name: Gates(trunk) for name, trunk in trunks.items()}
    every = [gate for one in gates.values() for gate in one.all]
    if not every:
        return {}
    sums = [torch.zeros_like(gate) for gate in every]
    count = 0
    with _opened(gates.values()):
        for batch in batches:
            count += 1
            slopes = torch.autograd.grad(loss(batch), every, materialize_grads=True)
            for total, slope in zip(sums, slopes, strict=True):
                total += slope.abs()
    means = iter(total.detach() / max(count, 1) for total in sums)
    return {name: one.read(means) for name, one in gates.items()}


class Gates:
    """Ones that what passes through a trunk is multiplied with.

    Args:
        trunk: Whose units are gated while the gates are open.
    """

    def __init__(self, trunk: TransformerTrunk) -> None:
        self.layers: list[Any] = list(trunk.layers)
        self.heads = [_ones(layer.attention.heads) for layer in self.layers]
        self.inner = [_ones(layer.feed_forward.down.in_features) for layer in self.layers]
        self.whole = [_ones(1) for _ in self.layers]

    @property
    def all(self) -> list[Tensor]:
        """Every gate, in the order `read` takes them."""
        return [*self.heads, *self.inner, *self.whole]

    def read(self, means: Iterator[Tensor]) -> Importance:
        """What was found at the gates, in the order of `all`."""
        heads, inner, whole = ([next(means) for _ in self.layers] for _ in range(3))
        return Importance(tuple(heads), tuple(inner), torch.cat(whole) if whole else torch.zeros(0))

    def hook(self) -> list[Any]:
        """Put the gates in; gives what takes them out."""
        found = []
        for layer, heads, inner, whole in zip(self.layers, self.heads, self.inner, self.whole, strict=True):
            found += [
                layer.attention.out.register_forward_pre_hook(_before(heads)),
                layer.feed_forward.down.register_forward_pre_hook(_before(inner)),
                layer.register_forward_hook(_around(whole)),
            ]
        return found


def _ones(count: int) -> Tensor:
    return torch.ones(count, requires_grad=True)


def _before(gate: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Multiply what enters, `[N, units * size]`."""

    def multiply(_: nn.Module, entered: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        units = entered[0].reshape(len(entered[0]), len(gate), -1) * gate.unsqueeze(-1)
        return (units.flatten(1), *entered[1:])

    return multiply


def _around(gate: Tensor) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
    """Multiply what a layer adds to what entered it."""

    def multiply(_: nn.Module, entered: tuple[Any, ...], left: Tensor) -> Tensor:
        gated: Tensor = entered[0] + gate * (left - entered[0])
        return gated

    return multiply


@contextmanager
def _opened(gates: Iterable[Gates]) -> Iterator[None]:
    hooks = [hook for one in gates for hook in one.hook()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
