from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from steppe.core.errors import InputError
from steppe.models import Model
from steppe.propagation import Suffix, build_prefix, frozen_parts

SITE, MID, POST = "blocks.0.hook_resid_post", "blocks.1.hook_resid_mid", "blocks.1.hook_resid_post"
PARTS = ["blocks.1.hook_attn_out", "blocks.1.hook_mlp_out"]


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "granite", "gpt_neox"])
@pytest.mark.parametrize("part", PARTS)
def test_a_frozen_part_adds_its_vector_and_all_else_its_own(
    model_of: Callable[[str], Model], family: str, part: str
) -> None:
    model = model_of(family)
    prefix = build_prefix(model, torch.arange(5, 17, 2), SITE)
    generator = torch.Generator().manual_seed(0)
    points = prefix.base + torch.randn(3, model.d_model, generator=generator)
    fixed = torch.randn(model.d_model, generator=generator)
    if model.coordinates == "centered":
        fixed = fixed - fixed.mean()
    with Suffix(model, SITE, read=[SITE, *PARTS, POST]) as suffix:
        free = suffix(prefix, points).residuals
        with frozen_parts(model, {part: fixed}):
            frozen = suffix(prefix, points).residuals
        after = suffix(prefix, points).residuals
    torch.testing.assert_close(frozen[part], fixed.expand(3, -1), rtol=1e-4, atol=1e-4)
    total = frozen[SITE] + frozen[PARTS[0]] + frozen[PARTS[1]]
    torch.testing.assert_close(frozen[POST], total, rtol=1e-3, atol=1e-3)
    assert (free[part] - fixed).abs().max() > 0.1
    torch.testing.assert_close(after[POST], free[POST], rtol=0, atol=0)


def test_what_cannot_be_frozen_is_refused(gpt2: Model) -> None:
    vector = torch.zeros(gpt2.d_model)
    for values in ({MID: vector}, {PARTS[0]: vector[1:]}):
        with pytest.raises(InputError, match="frozen part"), frozen_parts(gpt2, values):
            pass
