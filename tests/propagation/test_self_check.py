from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.propagation import (
    Suffix,
    build_prefix,
    propagate,
    read_residuals,
    require_self_check,
    self_check,
)
from steppe.subject import Subject, load_subject

SITE = Site.parse("resid_pre:1")
SMALL = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}


def test_every_family_passes(family_subject: Subject) -> None:
    check = self_check(family_subject, SITE)
    assert check.passed
    assert check.max_relative_error < 1e-5
    assert check.max_relative_error == max(check.details.values())


def test_two_sites_two_prompts_and_two_quantities_are_compared(gpt2: Subject) -> None:
    assert set(self_check(gpt2, Site.parse("resid_post:last")).details) == {
        f"{site}, {length} tokens, {what}"
        for site in ("blocks.2.hook_resid_post", "blocks.1.hook_resid_pre")
        for length in (10, 17)
        for what in ("residual", "logits")
    }


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_has_a_wider_tolerance(family_subject: Subject, dtype: str) -> None:
    if family_subject.anatomy.family == "mixtral":
        pytest.skip("few of its matrices can be halved, so that it is refused")
    check = self_check(load_subject(family_subject.model, dtype=dtype), SITE)
    assert check.passed
    assert check.tolerance > 1e-3


def test_a_model_that_mixes_positions_outside_attention_is_refused() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
    # What a recurrent layer does: a position sees others without their keys and values.
    model.transformer.h[1].register_forward_hook(
        lambda _module, _args, stream: stream + 2 * stream.mean(1, keepdim=True)
    )
    subject = load_subject(model)
    tokens = torch.arange(6)[None]
    with pytest.raises(InputError) as caught:
        propagate(subject, tokens, SITE, torch.zeros(1, 2, 32))
    lines = str(caught.value).splitlines()
    assert lines[0] == "self-check of GPT2LMHeadModel, model family 'gpt2'"
    assert lines[1].startswith("  got:      relative error ")
    assert lines[2:] == [
        "  expected: at most 1e-04 between the suffix and the full forward pass",
        "  fix:      choose engine='general' or 'full', coordinates='raw', dtype='float32', or "
        "another model",
    ]
    with pytest.raises(InputError):
        require_self_check(subject, SITE)


def test_coordinates_that_do_not_suit_the_model_are_found() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    # Attention that sees the mean over d_model, in a model that ends in a LayerNorm.
    model.transformer.h[1].ln_1 = torch.nn.Identity()
    assert not self_check(load_subject(model, coordinates="centered"), SITE).passed
    assert self_check(load_subject(model, coordinates="raw"), SITE).passed


def test_the_check_runs_once_per_model_and_depth(
    subject_of: Callable[[str], Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_subject(subject_of("llama").model)
    runs = []
    real = self_check

    def counted(*args: Any) -> Any:
        runs.append(args)
        return real(*args)

    # The package's function of that name hides the module from an import.
    monkeypatch.setattr(sys.modules["steppe.propagation.self_check"], "self_check", counted)
    site = Site.parse("resid_pre:2")
    for _ in range(2):
        require_self_check(subject, site)
    require_self_check(subject, Site.parse("resid_post:1"))
    assert len(runs) == 1


RECURRENT = {
    "mamba": (transformers.MambaConfig, {"state_size": 4}, "LinearAttentionLayer"),
    "qwen3_next": (
        transformers.Qwen3NextConfig,
        {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 32,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "linear_num_value_heads": 2,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
        "LinearAttentionLayer",
    ),
    "rwkv": (transformers.RwkvConfig, {}, "a running state"),
}


@pytest.mark.parametrize("family", RECURRENT)
def test_recurrent_models_are_refused(family: str) -> None:
    config_class, settings, what = RECURRENT[family]
    model = transformers.AutoModelForCausalLM.from_config(config_class(**SMALL, **settings))
    subject = load_subject(model)
    expected = (
        f"model family '{family}'\n"
        f"  got:      layers that keep something else: {what}\n"
        "  expected: attention layers that each keep their own keys and values\n"
        "  fix:      choose engine='full', which recomputes all of it for every point, or a model "
        "without linear-attention, recurrent or cache-sharing layers"
    )
    with pytest.raises(InputError) as caught:
        build_prefix(subject, torch.arange(4), SITE)
    assert str(caught.value) == expected
    with pytest.raises(InputError) as caught:
        Suffix(subject, SITE, read=[SITE])
    assert str(caught.value) == expected


@pytest.mark.parametrize("family", ["mamba", "qwen3_next"])
def test_recurrent_models_are_served_by_the_full_engine(family: str) -> None:
    config_class, settings, _ = RECURRENT[family]
    model = transformers.AutoModelForCausalLM.from_config(config_class(**SMALL, **settings))
    subject = load_subject(model, engine="full")
    check = require_self_check(subject, SITE)
    assert check.max_relative_error < 1e-6
    assert check.engine == "full"
    tokens = torch.arange(2 * 7).reshape(2, 7)
    base = read_residuals(subject, tokens, SITE)
    outputs = propagate(subject, tokens, SITE, base[:, None] + torch.zeros(1, 3, 1))
    clean = read_residuals(subject, tokens, Site.parse("resid_post:last"))
    torch.testing.assert_close(
        outputs.residuals["blocks.last.hook_resid_post"], clean[:, None].expand(-1, 3, -1)
    )
