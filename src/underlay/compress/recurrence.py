"""A recurrent layer as one operation of a graph: ONNX's own GRU and LSTM, which read lengths."""

from typing import Any

import torch
from torch import Tensor, nn

GATES = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""Where ONNX's gates stand among PyTorch's: its z, r, h among r, z, n; its i, o, f, c among i, f, g, o."""


def read_both_ways(cell: nn.GRU | nn.LSTM, hidden: Tensor, lengths: Tensor) -> Tensor:
    """What a bidirectional layer gives, `[S, T, D]`; each row is read to its own end and back from there.

    Outside of a trace to ONNX it gives zeros: PyTorch has no such operation.

    Args:
        cell: Of one layer.
        hidden: `[S, T, D]`.
        lengths: `[S]`, each at least 1.

    Source: https://onnx.ai/onnx/operators/onnx__GRU.html and onnx__LSTM.html.
    """
    name = "LSTM" if isinstance(cell, nn.LSTM) else "GRU"
    weights, recurrent, bias = ([], [], [])  # type: tuple[list[Tensor], list[Tensor], list[Tensor]]
    for suffix in ("", "_reverse"):
        weights.append(_ordered(getattr(cell, f"weight_ih_l0{suffix}"), name))
        recurrent.append(_ordered(getattr(cell, f"weight_hh_l0{suffix}"), name))
        bias.append(torch.cat([_ordered(getattr(cell, f"bias_{side}_l0{suffix}"), name) for side in ("ih", "hh")]))
    steps = hidden.transpose(0, 1)  # [T, S, D]
    length, rows, _ = steps.shape
    last = (2, rows, cell.hidden_size)
    attributes: dict[str, Any] = {"hidden_size": cell.hidden_size, "direction": "bidirectional"}
    # In PyTorch's GRU the reset gate acts on the product with the recurrent weights, not before it.
    attributes |= {"linear_before_reset": 1} if name == "GRU" else {}
    states = [last] if name == "GRU" else [last, last]
    read, *_ = torch.onnx.ops.symbolic_multi_out(
        name,
        (steps, torch.stack(weights), torch.stack(recurrent), torch.stack(bias), lengths.to(torch.int32)),
        attributes,
        dtypes=[hidden.dtype] * (1 + len(states)),
        shapes=[(length, 2, rows, cell.hidden_size), *states],
    )
    return read.permute(2, 0, 1, 3).flatten(2)  # [S, T, 2 * hidden]


def _ordered(parameter: Tensor, name: str) -> Tensor:
    """The gates of a parameter, one under the other, in ONNX's order."""
    gates = parameter.chunk(len(GATES[name]))
    return torch.cat([gates[place] for place in GATES[name]])
