from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation import build_prefix, read_residuals

TOKENS = torch.arange(2 * 9).reshape(2, 9)


def hidden_states(model: Model, tokens: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        out = model.hf_model(tokens, output_hidden_states=True, use_cache=False)
    states: tuple[Tensor, ...] = out.hidden_states
    return states


@pytest.mark.parametrize("family", ["gpt2", "llama", "gptj"])
@pytest.mark.parametrize("position", [-1, 0, 4, "all"])
def test_residuals_are_the_models_own_in_the_models_coordinates(
    model_of: Any, family: str, position: Any
) -> None:
    model = model_of(family)
    states = hidden_states(model, TOKENS)
    where = slice(None) if position == "all" else position
    for layer in range(model.n_layers):
        site = Site.parse(f"resid_pre:{layer}", position)
        found = read_residuals(model, TOKENS, site)
        expected = model.to_coordinates(states[layer])[:, where]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_post_site_is_the_next_pre_site(gpt2: Model) -> None:
    post = read_residuals(gpt2, TOKENS, Site.parse("resid_post:0"))
    pre = read_residuals(gpt2, TOKENS, Site.parse("resid_pre:1"))
    assert torch.equal(post, pre)
    assert torch.allclose(post.mean(-1), torch.zeros(2), atol=1e-5)


def test_the_batch_size_changes_nothing_beyond_rounding(gpt2: Model) -> None:
    tokens = torch.arange(7 * 9).reshape(7, 9)
    site = Site.parse("resid_post:last")
    whole = read_residuals(gpt2, tokens, site)
    for batch_size in (1, 3, 100):
        found = read_residuals(gpt2, tokens, site, batch_size=batch_size)
        assert float((found - whole).abs().max() / whole.abs().max()) < 1e-6


def test_nothing_after_the_site_is_computed(gpt2: Model) -> None:
    seen = []
    handles = [
        block.register_forward_hook(lambda *_, layer=layer: seen.append(layer))
        for layer, block in enumerate(gpt2.anatomy.blocks)
    ]
    handles.append(gpt2.hf_model.lm_head.register_forward_hook(lambda *_: seen.append("head")))
    try:
        read_residuals(gpt2, TOKENS, Site.parse("resid_pre:1"))
    finally:
        for handle in handles:
            handle.remove()
    assert seen == [0]


def test_the_result_can_be_changed_in_place(gpt2: Model) -> None:
    read_residuals(gpt2, TOKENS, Site.parse("resid_pre:1")).add_(1.0)


def test_the_prefix_holds_the_clean_activation(family_model: Model) -> None:
    for position in (-1, 3, "all"):
        site = Site.parse("resid_pre:1", position)
        prefix = build_prefix(family_model, TOKENS[0], site)
        expected = read_residuals(family_model, TOKENS[:1], site)[0]
        assert float((prefix.base - expected).abs().max() / expected.abs().max()) < 1e-5


def test_half_precision_is_read_as_float32(gpt2: Model) -> None:
    half = load_model(gpt2.hf_model, dtype="bfloat16")
    site = Site.parse("resid_pre:1")
    found = read_residuals(half, TOKENS, site)
    assert half.hf_model is not gpt2.hf_model
    assert gpt2.hf_model.dtype == torch.float32
    assert found.dtype == build_prefix(half, TOKENS[0], site).base.dtype == torch.float32
    torch.testing.assert_close(found, read_residuals(gpt2, TOKENS, site), rtol=0.05, atol=0.1)


def refused(model: Model, tokens: Any, site: str, position: Any = -1) -> str:
    with pytest.raises(InputError) as caught:
        read_residuals(model, tokens, Site.parse(site, position))
    return str(caught.value)


def test_what_does_not_fit_is_refused(gpt2: Model) -> None:
    assert refused(gpt2, TOKENS, "resid_pre:1", 9) == (
        "site blocks.1.hook_resid_pre\n"
        "  got:      position 9\n"
        "  expected: -9 to 8 (the prompt has 9 tokens)\n"
        "  fix:      choose a position inside the prompt, or use longer prompts"
    )
    assert refused(gpt2, TOKENS[0], "resid_pre:1") == (
        "tokens\n"
        "  got:      shape (9,)\n"
        "  expected: token ids of shape (prompt, position), at least one\n"
        "  fix:      pass one row of token ids per prompt"
    )
    assert refused(gpt2, TOKENS + 90, "resid_pre:1") == (
        "tokens\n"
        "  got:      token ids from 90 to 107\n"
        "  expected: 0 to 96, the vocabulary of GPT2LMHeadModel\n"
        "  fix:      tokenise the prompts with this model's own tokenizer"
    )
    assert refused(gpt2, torch.zeros(1, 129), "resid_pre:1") == (
        "tokens\n"
        "  got:      prompts of 129 tokens\n"
        "  expected: at most 128, the context length of GPT2LMHeadModel\n"
        "  fix:      use shorter prompts"
    )
    assert "at least one" in refused(gpt2, torch.zeros(0, 4), "resid_pre:1")
