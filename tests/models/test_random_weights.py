from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from steppe.core.sites import Site
from steppe.models import load_model, with_random_weights
from steppe.propagation import read_residuals


def model():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=60, n_positions=16, n_embd=12, n_layer=2, n_head=2)
    return load_model(GPT2LMHeadModel(config), device="cpu")


def drawn(original, seed: int):
    return with_random_weights(original, np.random.default_rng(seed))


def test_the_same_architecture_with_other_weights():
    original = model()
    control = drawn(original, 1)
    assert control.identity.source == "drawn"
    assert control.name.endswith("with random weights")
    assert control.coordinates == original.coordinates
    assert (control.n_layers, control.d_model) == (original.n_layers, original.d_model)
    assert control.identity.sha256 != original.identity.sha256
    assert not control.hf_model.training


def test_the_seed_decides_the_weights_and_nothing_else_is_drawn():
    original = model()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    control = drawn(original, 1)
    assert torch.equal(torch.rand(3), expected)
    assert control.identity.sha256 == drawn(original, 1).identity.sha256
    assert control.identity.sha256 != drawn(original, 2).identity.sha256


def test_the_generators_of_other_devices_and_libraries_are_left_as_they_are(monkeypatch):
    original, seeded = model(), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(0)
    assert seeded == [0], "torch.manual_seed seeds the generators of all devices"
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    drawn(original, 1)
    assert seeded == [0]
    after = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert after == before


def test_weights_are_drawn_on_the_cpu_whatever_the_default_device(monkeypatch):
    original, seen = model(), []

    def stop(*_, **__):
        seen.append(torch.empty(0).device.type)
        raise KeyboardInterrupt

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_config", stop)
    with torch.device("meta"), pytest.raises(KeyboardInterrupt):
        drawn(original, 1)
    assert seen == ["cpu"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_the_formats_are_those_of_the_model(dtype: str):
    def formats(of):
        return {name: value.dtype for name, value in of.hf_model.named_parameters()}

    original = load_model(model().hf_model, dtype=dtype)
    control = drawn(original, 1)
    assert formats(control) == formats(original)
    assert formats(control)["transformer.wte.weight"] == torch.float32
    kinds = [[type(module) for module in one.hf_model.modules()] for one in (control, original)]
    assert kinds[0] == kinds[1]
    whole = drawn(model(), 1)
    assert control.identity.fingerprint == whole.identity.fingerprint, "other weights are drawn"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_the_control_is_as_exact_as_the_model(dtype: str):
    site = Site.parse("resid_post:last")
    tokens = torch.arange(10).reshape(2, 5)
    exact = read_residuals(drawn(model(), 1), tokens, site)
    found = read_residuals(drawn(load_model(model().hf_model, dtype=dtype), 1), tokens, site)
    error = (found - exact).norm() / exact.norm()
    assert error < 0.01
