from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.propagation import (
    Suffix,
    build_prefix,
    packing,
    propagate,
    read_residuals,
    require_self_check,
    self_check,
)
from steppe.propagation.prefix import engine_of
from steppe.propagation.self_check import relative_error

SITE = Site.parse("resid_pre:1")
SMALL = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2}


def test_every_family_passes(family_model: Model) -> None:
    check = self_check(family_model, SITE)
    assert check.passed
    assert check.max_relative_error < 1e-5
    assert check.max_relative_error == max(check.details.values())


def test_two_sites_two_prompts_and_two_quantities_are_compared(gpt2: Model) -> None:
    assert set(self_check(gpt2, Site.parse("resid_post:last")).details) == {
        f"{site}, {length} tokens, {what}"
        for site in ("blocks.2.hook_resid_post", "blocks.1.hook_resid_pre")
        for length in (10, 17)
        for what in ("residual", "logits", "residual of a point alone")
    }


def test_weights_are_compared_with_what_was_packed_of_them_once_a_check(
    gpt2: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    own = packing.content_of
    monkeypatch.setattr(
        packing, "content_of", lambda weight: compared.append(weight.data_ptr()) or own(weight)
    )
    assert self_check(gpt2, SITE, 12).engine == "fast"
    assert len(compared) == len(set(compared))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_has_a_wider_tolerance(family_model: Model, dtype: str) -> None:
    if family_model.anatomy.family == "mixtral":
        pytest.skip("few of its matrices can be halved, so that it is refused")
    check = self_check(load_model(family_model.hf_model, dtype=dtype), SITE)
    assert check.passed
    assert check.tolerance > 1e-3


@pytest.mark.parametrize("engine", ["fast", "full"])
def test_a_model_whose_numbers_hang_on_the_batch_is_refused(engine: str) -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    hf_model = transformers.GPT2LMHeadModel(config)
    # As int8 matrices do whose outliers are those of the batch, which both passes share.
    hf_model.transformer.h[1].mlp.register_forward_hook(
        lambda _module, _args, added: added + added.abs().amax(0, keepdim=True)
    )
    with pytest.raises(InputError, match="a point alone"):
        require_self_check(load_model(hf_model, engine=engine), SITE)


def test_a_model_that_mixes_positions_outside_attention_is_refused() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    hf_model = transformers.GPT2LMHeadModel(config)
    # What a recurrent layer does: a position sees others without their keys and values.
    hf_model.transformer.h[1].register_forward_hook(
        lambda _module, _args, stream: stream + 2 * stream.mean(1, keepdim=True)
    )
    model = load_model(hf_model)
    tokens = torch.arange(6)[None]
    with pytest.raises(InputError) as caught:
        propagate(model, tokens, SITE, torch.zeros(1, 2, 32))
    lines = str(caught.value).splitlines()
    assert lines[0] == "self-check of GPT2LMHeadModel, model family 'gpt2'"
    assert lines[1].startswith("  got:      relative error ")
    assert lines[2:] == [
        "  expected: at most 1e-04 between the suffix and the full forward pass",
        "  fix:      choose engine='full', coordinates='raw', or another model",
    ]
    with pytest.raises(InputError):
        require_self_check(model, SITE)


def test_coordinates_that_do_not_suit_the_model_are_found() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    hf_model = transformers.GPT2LMHeadModel(config)
    # Attention that sees the mean over d_model, in a model that ends in a LayerNorm.
    hf_model.transformer.h[1].ln_1 = torch.nn.Identity()
    assert not self_check(load_model(hf_model, coordinates="centered"), SITE).passed
    assert self_check(load_model(hf_model, coordinates="raw"), SITE).passed


def test_the_check_runs_once_per_model_and_depth(
    model_of: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(model_of("llama").hf_model)
    runs = []
    real = self_check

    def counted(*args: Any) -> Any:
        runs.append(args)
        return real(*args)

    # The package's function of that name hides the module from an import.
    monkeypatch.setattr(sys.modules["steppe.propagation.self_check"], "self_check", counted)
    site = Site.parse("resid_pre:2")
    for _ in range(2):
        require_self_check(model, site)
    require_self_check(model, Site.parse("resid_post:1"))
    assert len(runs) == 1
    for length in (30, 30, 10, None):
        require_self_check(model, site, length)
    assert [run[2] for run in runs] == [None, 30]
    require_self_check(model, Site(2, "resid_pre", 4), 30)
    assert len(runs) == 3


def test_hooks_that_come_later_are_checked_again() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    hf_model = transformers.GPT2LMHeadModel(config)
    model = load_model(hf_model)
    require_self_check(model, SITE)
    hf_model.transformer.h[1].register_forward_hook(
        lambda _module, _args, stream: stream + 2 * stream.mean(1, keepdim=True)
    )
    with pytest.raises(InputError, match="relative error"):
        require_self_check(model, SITE)


LONG = 24


def long_rope(engine: str = "auto") -> Model:
    """A model that turns positions by other angles as soon as a prompt is longer than LONG."""
    torch.manual_seed(0)
    config = transformers.Phi3Config(
        **{**SMALL, "num_attention_heads": 2, "intermediate_size": 48, "pad_token_id": None},
        max_position_embeddings=64,
        original_max_position_embeddings=LONG,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "factor": 64 / LONG,
            "original_max_position_embeddings": LONG,
            "short_factor": [1.0] * 8,
            "long_factor": [9.0] * 8,
        },
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=0,
    )
    return load_model(transformers.Phi3ForCausalLM(config), engine=engine)


@pytest.mark.parametrize(("length", "position"), [(LONG + 1, -1), (LONG + 9, 5)])
def test_a_prefix_that_is_wrong_at_the_runs_own_length_is_refused(
    length: int, position: int
) -> None:
    model, site = long_rope(), Site(1, "resid_pre", position)
    tokens = torch.arange(length)[None]
    require_self_check(model, site)
    with pytest.raises(InputError, match=f"position {position}, {length} tokens") as caught:
        propagate(model, tokens, site, torch.zeros(1, 2, 32))
    assert caught.value.fix == "choose engine='full', or another model"
    assert require_self_check(model, Site(1, "resid_pre", position), LONG).passed


@pytest.mark.parametrize(("length", "position"), [(LONG + 1, -1), (LONG + 9, 5)])
def test_the_full_engine_is_right_where_the_length_matters(length: int, position: int) -> None:
    model, site = long_rope("full"), Site(1, "resid_pre", position)
    tokens = torch.arange(length)[None]
    base = read_residuals(model, tokens, site)
    point = base + 1.0
    found = propagate(model, tokens, site, point[:, None], logits=True)

    def displace(_module: object, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        torch.testing.assert_close(args[0][0, position], base[0], rtol=1e-5, atol=1e-5)
        changed = args[0].clone()
        changed[0, position] = point[0]
        return (changed, *args[1:])

    hook = model.hf_model.model.layers[1].register_forward_pre_hook(displace)
    expected = model.hf_model(input_ids=tokens).logits[:, -1]
    hook.remove()
    torch.testing.assert_close(found.logits[:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("position", [-1, 3, "all"])
def test_the_runs_own_position_and_length_are_among_the_details(gpt2: Model, position: int) -> None:
    site = Site(1, "resid_pre", position)
    details = self_check(gpt2, site, 40).details
    where = f"blocks.1.hook_resid_pre at position {position}, 40 tokens"
    assert {f"{where}, residual", f"{where}, logits"} < set(details)
    assert max(details.values()) < 1e-5


def test_a_private_name_that_is_gone_makes_auto_general(
    model_of: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_args: Any, **_options: Any) -> Any:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")

    hf_model = model_of("llama").hf_model
    packed = sys.modules["steppe.propagation.replacements"]
    monkeypatch.setattr(packed, "packed", gone)
    monkeypatch.setattr(packed, "_can_be_packed", lambda module: "Linear" in str(type(module)))
    model = load_model(hf_model)
    assert engine_of(model) == "fast"
    outputs = propagate(model, torch.arange(6)[None], SITE, torch.zeros(1, 2, 32))
    check = require_self_check(model, SITE, 6)
    assert (check.engine, engine_of(model)) == ("general", "general")
    assert "no attribute '_linear_pointwise'" in check.note
    monkeypatch.undo()
    exact = propagate(
        load_model(hf_model, engine="general"), torch.arange(6)[None], SITE, torch.zeros(1, 2, 32)
    )
    name = "blocks.last.hook_resid_post"
    assert torch.equal(outputs.residuals[name], exact.residuals[name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "packed", gone)
        patch.setattr(packed, "_can_be_packed", lambda module: "Linear" in str(type(module)))
        with pytest.raises(AttributeError):
            self_check(load_model(hf_model, engine="fast"), SITE)


def test_a_fast_engine_that_is_inexact_makes_auto_general(
    model_of: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["steppe.propagation.replacements"]
    monkeypatch.setattr(module, "tanh_gelu", lambda rows: 1.1 * rows.sigmoid() * rows)
    check = self_check(load_model(model_of("gpt2").hf_model), SITE)
    assert check.passed
    assert check.engine == "general"
    assert check.note.startswith("relative error")
    sys.modules["steppe.propagation.prefix"]._not_fast.clear()


def test_nan_fails_wherever_it_is(
    model_of: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["steppe.propagation.self_check"]
    errors = iter([1e-7, float("nan")] + [1e-7] * 20)
    monkeypatch.setattr(module, "relative_error", lambda *_args, **_options: next(errors))
    check = self_check(load_model(model_of("gpt2").hf_model, engine="fast"), SITE)
    assert not check.passed
    assert np.isnan(check.max_relative_error)


def test_a_model_whose_logits_are_nan_fails() -> None:
    config = transformers.GPT2Config(**SMALL, num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    hf_model = transformers.GPT2LMHeadModel(config)
    model = load_model(hf_model)
    hf_model.lm_head.register_forward_hook(lambda _module, _args, logits: logits * float("nan"))
    with pytest.raises(InputError, match=r"relative error nan .*logits"):
        require_self_check(model, SITE)


@pytest.mark.parametrize("mask", [torch.finfo(torch.float32).min, -1e9, -float("inf"), 1e6])
def test_a_huge_logit_does_not_hide_wrong_ones(mask: float) -> None:
    expected = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    expected[:, 7] = mask
    assert relative_error(expected.clone(), expected, huge=100.0) == 0.0
    found = expected.clone()
    found[1, 20] += 0.5
    assert relative_error(found, expected, huge=100.0) > 0.1
    found = expected.clone()
    found[1, 7] = 0.0
    assert relative_error(found, expected, huge=100.0) > 0.1


def test_errors_over_rows_and_undefined_entries() -> None:
    one = torch.tensor([[1.0, 2.0], [100.0, 200.0]])
    assert relative_error(one + torch.tensor([[0.1, 0.0], [0.0, 0.0]]), one) == pytest.approx(0.05)
    assert np.isnan(relative_error(one * float("nan"), one))
    assert np.isnan(relative_error(one, one * float("nan")))
    infinite = one.clone()
    infinite[0, 0] = -float("inf")
    assert relative_error(infinite, infinite) == 0.0
    assert relative_error(-infinite, infinite) == float("inf")
    assert relative_error(one, infinite) == float("inf")
    assert relative_error(torch.zeros(1, 2), torch.zeros(1, 2)) == 0.0
    assert relative_error(torch.ones(1, 2), torch.zeros(1, 2)) == float("inf")


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
    hf_model = transformers.AutoModelForCausalLM.from_config(config_class(**SMALL, **settings))
    model = load_model(hf_model)
    expected = (
        f"model family '{family}'\n"
        f"  got:      layers that keep something else: {what}\n"
        "  expected: attention layers that each keep their own keys and values\n"
        "  fix:      choose engine='full', which recomputes all of it for every point, or a model "
        "without linear-attention, recurrent or cache-sharing layers"
    )
    with pytest.raises(InputError) as caught:
        build_prefix(model, torch.arange(4), SITE)
    assert str(caught.value) == expected
    with pytest.raises(InputError) as caught:
        Suffix(model, SITE, read=[SITE])
    assert str(caught.value) == expected


@pytest.mark.parametrize("family", ["mamba", "qwen3_next"])
def test_recurrent_models_are_served_by_the_full_engine(family: str) -> None:
    config_class, settings, _ = RECURRENT[family]
    hf_model = transformers.AutoModelForCausalLM.from_config(config_class(**SMALL, **settings))
    model = load_model(hf_model, engine="full")
    check = require_self_check(model, SITE)
    assert check.max_relative_error < 1e-6
    assert check.engine == "full"
    tokens = torch.arange(2 * 7).reshape(2, 7)
    base = read_residuals(model, tokens, SITE)
    outputs = propagate(model, tokens, SITE, base[:, None] + torch.zeros(1, 3, 1))
    clean = read_residuals(model, tokens, Site.parse("resid_post:last"))
    torch.testing.assert_close(
        outputs.residuals["blocks.last.hook_resid_post"], clean[:, None].expand(-1, 3, -1)
    )
