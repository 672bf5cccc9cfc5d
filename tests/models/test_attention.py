"""Attention in a half format is the fused kernel's attention, values and gradients, whatever is taken apart."""

import pytest
import torch
from torch.nn import functional as F

from underlay.models import attention
from underlay.models.attention import attend


def case(dtype, length=9):
    torch.manual_seed(0)
    return [torch.randn(5, 3, length, 4).to(dtype).requires_grad_() for _ in range(3)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rows_at_a_time", [1, 2, 99])
def test_products_give_the_values_and_gradients_of_the_fused_kernel(causal, rows_at_a_time, monkeypatch):
    monkeypatch.setattr(attention, "_SCORES", rows_at_a_time * 3 * 9 * 9)
    found = []
    for dtype in (torch.bfloat16, torch.float64):
        parts = case(torch.bfloat16)
        query, key, value = (part.to(dtype) for part in parts)
        seen = (
            attend(query, key, value, causal=causal)
            if dtype is torch.bfloat16
            else F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        )
        found.append([seen, *torch.autograd.grad(seen.double().square().sum(), parts)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=0.03, atol=0.03)


def test_queries_may_be_fewer_than_keys():
    query, key, value = case(torch.bfloat16)
    seen = attend(query[:, :, :2], key, value)
    expected = F.scaled_dot_product_attention(query[:, :, :2].float(), key.float(), value.float())
    torch.testing.assert_close(seen.float(), expected, rtol=0.03, atol=0.03)


def test_fp32_takes_the_fused_kernel_to_the_bit():
    query, key, value = case(torch.float32)
    torch.testing.assert_close(
        attend(query, key, value), F.scaled_dot_product_attention(query, key, value), rtol=0, atol=0
    )
