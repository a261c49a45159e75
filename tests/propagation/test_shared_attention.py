from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from steppe.propagation.shared_attention import JoinedTensor

POINTS, HEADS, WIDTH, LENGTH = 5, 4, 8, 7


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def joined(own: int, heads: int = HEADS) -> tuple[JoinedTensor, JoinedTensor]:
    key, value = (
        JoinedTensor(s * random(1, heads, LENGTH, WIDTH), s * random(POINTS, heads, own, WIDTH))
        for s in (1.0, 0.7)
    )
    return key, value


def masks(own: int) -> dict[str, Tensor | None]:
    causal = torch.ones(own, LENGTH + own, dtype=torch.bool).tril(LENGTH)
    sliding = causal & ~torch.ones_like(causal).tril(LENGTH - 4)
    added = torch.zeros(1, 1, own, LENGTH + own).masked_fill(~sliding, -1e9)
    each = added + random(POINTS, HEADS, own, LENGTH + own)
    return {"none": None, "bool": sliding[None, None], "float": added, "each": each}


@pytest.mark.parametrize("own", [1, 3])
@pytest.mark.parametrize("mask", ["none", "bool", "float", "each"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_equals_that_over_the_joined_tensors(
    own: int, mask: str, scale: float | None
) -> None:
    key, value = joined(own)
    query = random(POINTS, HEADS, own, WIDTH)
    options: dict[str, Any] = {"attn_mask": masks(own)[mask], "scale": scale}
    found = scaled_dot_product_attention(query, key, value, **options)
    expected = scaled_dot_product_attention(query, key.whole(), value.whole(), **options)
    assert type(found) is Tensor
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("own", [1, 3])
def test_query_heads_may_share_a_key_head(own: int) -> None:
    key, value = joined(own, heads=2)
    query = random(POINTS, HEADS, own, WIDTH)
    mask = masks(own)["each"]
    found = scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    expected = scaled_dot_product_attention(
        query, key.whole(), value.whole(), attn_mask=mask, enable_gqa=True
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_any_other_operation_sees_an_ordinary_tensor() -> None:
    key, _ = joined(2)
    whole = key.whole()
    assert key.shape == whole.shape
    assert (key.dtype, key.device, key.ndim, key.size(2)) == (whole.dtype, whole.device, 4, 9)
    for made, expected in (
        (key.transpose(2, 3), whole.transpose(2, 3)),
        (torch.cat([key, key]), torch.cat([whole, whole])),
        (key[:, :, None].expand(-1, -1, 2, -1, -1), whole[:, :, None].expand(-1, -1, 2, -1, -1)),
        (random(POINTS, HEADS, 1, WIDTH) @ key.mT, random(POINTS, HEADS, 1, WIDTH) @ whole.mT),
    ):
        assert type(made) is Tensor
        assert torch.equal(made, expected)


def test_what_cannot_be_shared_is_computed_on_the_joined_tensors() -> None:
    key, value = joined(3)
    query = random(POINTS, HEADS, 3, WIDTH)
    found = scaled_dot_product_attention(query, key, value, is_causal=True)
    expected = scaled_dot_product_attention(query, key.whole(), value.whole(), is_causal=True)
    assert torch.equal(found, expected)
