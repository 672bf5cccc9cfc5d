"""A linear layer that takes the faster of PyTorch's two matrix libraries on a CPU.

In fp32 PyTorch sends `nn.Linear` to MKL, which runs at less than half its speed on processors that are not Intel's;
oneDNN, which PyTorch ships beside it and keeps for convolutions, runs well on all of them. Figures stand in
docs/decisions/0005-varlen-attention.md. The choice depends on the build of PyTorch alone, never on a timing, so
that a run and its resumption compute the same bits.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Linear(nn.Linear):
    """`nn.Linear`, same parameters, same gradients of every order.

    >>> Linear(4, 3)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's own name
        """`[N, in]` -> `[N, out]`; other shapes as in `nn.Linear`."""
        if input.dim() != 2 or not _has_onednn(input):
            return F.linear(input, self.weight, self.bias)
        return _product(input, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """`rows @ weight.T + bias` by oneDNN; its gradients are such products again."""

    @staticmethod
    def forward(context: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(rows, weight)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (gradient,) = gradients
        rows, weight = context.saved_tensors
        for_rows, for_weight, for_bias = context.needs_input_grad
        return (
            _product(gradient, weight.t()) if for_rows else None,
            _product(gradient.t(), rows.t()) if for_weight else None,
            gradient.sum(0) if for_bias else None,
        )


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = _Product.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    return product


def _has_onednn(rows: Tensor) -> bool:
    """Whether oneDNN computes this product: fp32 on a CPU, run and not traced or exported."""
    return (
        rows.device.type == "cpu"
        and rows.dtype is torch.float32
        and rows.shape[0] > 0
        and torch._C._has_mkldnn
        and torch._C._get_mkldnn_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
    )
