"""How far the linear picture holds, and how many latents change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

import steppe
from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.metrics import Metric, latents_changed, latents_l1, measure
from steppe.models import Model, load_model
from steppe.propagation import build_prefix, propagate, read_residuals
from steppe.study.crossings import Level

TOKENS = torch.arange(2 * 8).reshape(2, 8)
SITE, LAST = "blocks.0.hook_resid_post", "blocks.last.hook_resid_post"
WIDTH = 24


@pytest.fixture(scope="module")
def linear() -> Model:
    """A GPT-2 whose blocks are linear: no attention, no normalisation, no nonlinearity."""
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=3, n_embd=WIDTH, n_head=2, vocab_size=89, n_positions=32,
        bos_token_id=0, eos_token_id=0, activation_function="linear",
    )  # fmt: skip
    hf_model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for block in hf_model.transformer.h:
            block.ln_2 = nn.Identity()
            block.attn.c_proj.weight.zero_()
            block.mlp.c_fc.weight.mul_(10)
            block.mlp.c_proj.weight.mul_(10)
    return load_model(hf_model, device="cpu", coordinates="raw")


def paths(model: Model, *, kind: str, n_points: int = 9) -> torch.Tensor:
    base = read_residuals(model, TOKENS, SITE)
    target = base.roll(1, dims=0)
    if kind == "straight":
        return steppe.paths.relative(base, target, n_points=n_points)
    free = model.coordinates == "centered"
    return steppe.paths.sphere(base, target, n_points=n_points, mean_free=free)


@pytest.mark.parametrize("kind", ["straight", "sphere"])
def test_linear_prediction_is_1_on_a_linear_model(linear: Model, kind: str) -> None:
    points = paths(linear, kind=kind)
    curves = measure(linear, TOKENS, SITE, points, ["linear_prediction", "l2"])
    found = curves["linear_prediction"].values
    np.testing.assert_allclose(found[:, 1:], 1, rtol=1e-4)
    # Nothing over nothing at the base itself.
    assert np.isnan(found[:, 0]).all()
    # And it is not the identity.
    moved = (points - points[:, :1]).norm(dim=-1)[:, 1:]
    assert np.abs(curves["l2"].values[:, 1:] / moved.numpy() - 1).max() > 0.2


@pytest.mark.parametrize("kind", ["straight", "sphere"])
def test_it_is_the_response_over_the_full_jacobians_prediction(model: Model, kind: str) -> None:
    points = paths(model, kind=kind)
    found = measure(model, TOKENS, SITE, points, ["linear_prediction"])["linear_prediction"]
    for row, path, ratio in zip(TOKENS, points, found.values, strict=True):
        base = build_prefix(model, row, SITE).base.clone()
        steps = 1e-3 * torch.eye(WIDTH)
        moved = torch.cat([base + steps, base - steps])
        out = propagate(model, row[None], SITE, moved[None]).residuals[LAST][0].double()
        jacobian = (out[:WIDTH] - out[WIDTH:]) / 2e-3  # J^T
        actual = propagate(model, row[None], SITE, path[None]).residuals[LAST][0]
        predicted = ((path - path[0]).double() @ jacobian).norm(dim=1)
        expected = (actual - actual[0]).norm(dim=1)[1:] / predicted[1:]
        np.testing.assert_allclose(ratio[1:], expected, rtol=2e-2)
        assert np.abs(ratio[1:] - 1).max() > 0.05  # this model is not linear


def test_near_the_base_every_model_is_linear(model: Model) -> None:
    base = read_residuals(model, TOKENS, SITE)
    near = base + 1e-3 * (base.roll(1, dims=0) - base)
    points = torch.stack([base, near], dim=1)
    found = measure(model, TOKENS, SITE, points, ["linear_prediction"])["linear_prediction"]
    np.testing.assert_allclose(found.values[:, 1], 1, rtol=2e-2)


def test_a_path_without_a_direction_is_undefined(model: Model) -> None:
    points = paths(model, kind="straight")
    points[0, 1:] = torch.nan
    points[1] = points[1, :1]
    found = measure(model, TOKENS, SITE, points, ["linear_prediction"])["linear_prediction"]
    assert np.isnan(found.values).all()


def test_it_can_be_read_at_another_site_and_not_where_it_is_undefined(model: Model) -> None:
    points = paths(model, kind="straight")
    own = measure(model, TOKENS, SITE, points, [f"linear_prediction@{SITE}"])
    np.testing.assert_allclose(own[f"linear_prediction@{SITE}"].values[:, 1:], 1, rtol=1e-4)
    everywhere = Site.parse(SITE, position="all")
    whole = read_residuals(model, TOKENS, everywhere)[:, None].expand(-1, 2, -1, -1)
    with pytest.raises(InputError, match="last position"):
        measure(model, TOKENS, everywhere, whole, ["linear_prediction"])
    level = Level(1.0, "linear_prediction")
    with pytest.raises(InputError, match="linear_prediction"):
        steppe.crossings(model, TOKENS, SITE, points[:, -1], level=level)


def sae_of(scale: float = 1.0, bias: float = 0.0) -> Any:
    generator = torch.Generator().manual_seed(3)
    encoder = scale * torch.randn(WIDTH, 40, generator=generator)
    encode = lambda x: torch.relu(x @ encoder - bias)  # noqa: E731
    return SimpleNamespace(W_dec=encoder.T.clone(), encode=encode)


def test_latents_that_change_at_a_later_site(model: Model) -> None:
    sae, points = sae_of(), paths(model, kind="straight")
    metrics: list[str | Metric] = [latents_changed(sae), latents_l1(sae)]
    curves = measure(model, TOKENS, SITE, points, metrics)
    out = propagate(model, TOKENS, SITE, points).residuals[LAST]
    latents = torch.relu(out @ sae.W_dec.T)
    switched = ((latents > 0) != (latents[:, :1] > 0)).sum(-1)
    np.testing.assert_array_equal(curves["latents_changed"], switched)
    change = (latents - latents[:, :1]).abs().sum(-1)
    np.testing.assert_allclose(curves["latents_l1"], change, rtol=1e-4, atol=1e-4)
    assert (switched[:, -1] > 0).all()
    assert not switched[:, 0].any()


def test_latents_are_read_at_the_site_asked_for_and_told_apart_by_the_sae(model: Model) -> None:
    points = paths(model, kind="straight")
    metric = latents_l1(sae_of(), "blocks.1.hook_resid_post")
    here = measure(model, TOKENS, SITE, points, [metric])["latents_l1"]
    there = measure(model, TOKENS, SITE, points, [latents_l1(sae_of())])["latents_l1"]
    assert not np.allclose(here, there)
    others = [latents_l1(one).content for one in (sae_of(2.0), sae_of(bias=1.0), sae_of(bias=900))]
    assert latents_l1(sae_of()).content == metric.content
    assert len({metric.content, *others}) == 4


def test_undefined_points_have_no_latents_and_another_width_is_refused(model: Model) -> None:
    residual = torch.randn(3, WIDTH)
    residual[1] = torch.nan
    found = latents_changed(sae_of()).measure(residual)
    assert found.isnan().tolist() == [False, True, False]
    residual[0] = torch.nan
    assert latents_l1(sae_of()).measure(residual).isnan().all()
    with pytest.raises(InputError, match="width 24"):
        latents_changed(sae_of()).measure(torch.randn(3, 7))
