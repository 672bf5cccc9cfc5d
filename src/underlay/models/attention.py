"""Scaled dot-product attention by the kernel that is fast for the number format at hand."""

import torch
from torch import Tensor
from torch.nn import functional as F

_SCORES = 1 << 22
"""Scores computed at a time: 8 MiB in a half format, what the caches of two cores hold."""


def attend(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False, dropout: float = 0.0) -> Tensor:
    """What each query sees of the values, `[n, H, L, D]`.

    PyTorch's fused kernel for CPUs is quick in fp32 and slow in the half formats, above all backwards; there the two
    products are taken apart, so that the processor's matrix instructions serve them. Figures stand in
    docs/decisions/0005-varlen-attention.md. The choice follows from the format alone, never from a timing.

    Args:
        query: `[n, H, L, D]`.
        key: `[n, H, M, D]`.
        value: `[n, H, M, D]`.
        causal: Position i sees positions 0 to i; L and M are equal then.
        dropout: On the weights.

    Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1.

    >>> one = torch.ones(1, 1, 3, 2)
    >>> bool(torch.allclose(attend(one, one, one), one))
    True
    """
    if not _by_products(query) or dropout > 0:
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal)
    count, heads, length, _ = query.shape
    rows = max(1, _SCORES // max(1, heads * length * key.shape[2]))
    parts = [torch.split(part, rows) for part in (query, key, value)]
    with torch.autocast("cpu", enabled=False):  # it would take every softmax to fp32 and back
        seen = [_products(*part, causal=causal) for part in zip(*parts, strict=True)]
    return seen[0] if count <= rows else torch.cat(seen)


def _products(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    scale = query.shape[-1] ** -0.5
    scores = torch.bmm((query * scale).flatten(0, 1), key.flatten(0, 1).transpose(1, 2))  # [n * H, L, M]
    if causal:
        future = torch.ones(scores.shape[1:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    seen: Tensor = torch.bmm(scores.softmax(-1), value.flatten(0, 1))
    return seen.view(*query.shape[:3], value.shape[-1])


def _by_products(query: Tensor) -> bool:
    return query.device.type == "cpu" and query.dtype in (torch.bfloat16, torch.float16)
