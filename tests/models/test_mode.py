from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from steppe.core.sites import Site
from steppe.metrics import measure
from steppe.models import load_model
from steppe.models.mode import evaluating
from steppe.propagation import GradientSuffix, build_prefix, self_check

SITE = Site.parse("resid_pre:1")
TOKENS = torch.arange(12).reshape(2, 6)


def state_of(hf_model: Any) -> list[Any]:
    modules = [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m))
        for m in hf_model.modules()
    ]
    weights = [
        (p.dtype, p.device, p.requires_grad, p._version, p.data_ptr())
        for p in hf_model.parameters()
    ]
    return [*modules, *weights]


def own_model(make_gpt2: Callable[..., Any]) -> Any:
    """In training mode but for one part, with a hook, a patched forward and frozen weights."""
    hf_model = make_gpt2(resid_pdrop=0.5, attn_pdrop=0.5, embd_pdrop=0.5).train()
    hf_model.transformer.h[0].mlp.eval()
    hf_model.transformer.wte.weight.requires_grad_(False)
    hf_model.transformer.h[1].register_forward_hook(lambda _module, _args, stream: 1.5 * stream)
    norm = hf_model.transformer.ln_f
    norm.forward = lambda rows, plain=norm.forward: plain(rows)
    return hf_model


def curves(hf_model: Any) -> Any:
    model = load_model(hf_model)
    points = torch.linspace(0, 3, 5)[:, None] * torch.arange(16.0)
    return measure(model, TOKENS, SITE, points.expand(2, 5, 16), ["l2", "kl"])


def test_a_users_model_is_left_as_it_came(make_gpt2: Callable[..., Any]) -> None:
    hf_model = own_model(make_gpt2)
    before = state_of(hf_model)
    found = curves(hf_model)
    model = load_model(hf_model)
    prefix = build_prefix(model, TOKENS[0], SITE)
    GradientSuffix(model, prefix).gradient(prefix.base[None], lambda logits: logits.sum(-1))
    assert self_check(model, SITE).passed
    assert model.hf_model is hf_model
    assert state_of(hf_model) == before
    assert all(parameter.grad is None for parameter in hf_model.parameters())
    assert found.equals(curves(hf_model.eval())), "dropout took part"


def test_a_users_model_is_left_as_it_came_after_an_exception(
    make_gpt2: Callable[..., Any],
) -> None:
    hf_model = own_model(make_gpt2)
    load_model(hf_model)
    calls = []

    def fail(_module: Any, _args: Any, _output: Any) -> None:
        calls.append(1)
        if len(calls) > 4:
            raise OSError("the user's own")

    hook = hf_model.transformer.h[1].mlp.register_forward_hook(fail)
    before = state_of(hf_model)
    with pytest.raises(OSError, match="the user's own"):
        curves(hf_model)
    assert state_of(hf_model) == before
    hook.remove()


def test_evaluation_mode_ends_after_an_exception() -> None:
    hf_model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout())
    hf_model[0].eval()
    seen = []

    def run() -> None:
        with evaluating(hf_model):
            seen.extend(module.training for module in hf_model)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert seen == [False, False]
    assert [module.training for module in hf_model] == [False, True]
