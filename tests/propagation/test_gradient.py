from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import GradientSuffix, Suffix, build_prefix

SITES = ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "blocks.last.hook_resid_post"]


def tokens(length: int = 6) -> torch.Tensor:
    return torch.arange(5, 5 + 3 * length, 3)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
@pytest.mark.parametrize("name", SITES)
def test_logits_are_those_of_the_suffix(
    model_of: Callable[[str], Model], family: str, name: str
) -> None:
    model, site = model_of(family), Site.parse(name)
    prefix = build_prefix(model, tokens(), site)
    points = prefix.base + torch.linspace(0, 1, 4)[:, None] * torch.randn(
        4, model.d_model, generator=torch.Generator().manual_seed(0)
    )
    with Suffix(model, site, read=[], logits=True) as suffix:
        expected = suffix(prefix, points).logits
    found = GradientSuffix(model, prefix).logits(points)
    torch.testing.assert_close(found.detach(), expected.clone(), rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_small_changes(model_of: Callable[[str], Model]) -> None:
    model, site = model_of("gpt2"), Site.parse(SITES[1])
    prefix = build_prefix(model, tokens(), site)
    generator = torch.Generator().manual_seed(1)
    points = prefix.base + torch.randn(3, model.d_model, generator=generator)
    suffix = GradientSuffix(model, prefix)

    def score(logits: torch.Tensor) -> torch.Tensor:
        return logits.log_softmax(-1)[:, 7]

    values, gradient = suffix.gradient(points, score)
    direction = torch.randn(3, model.d_model, generator=generator)
    size = 1e-2
    ahead, behind = (score(suffix.logits(points + s * direction)) for s in (size, -size))
    torch.testing.assert_close(
        (gradient * direction).sum(dim=1), (ahead - behind).detach() / (2 * size),
        rtol=2e-2, atol=1e-3,
    )  # fmt: skip
    torch.testing.assert_close(values, score(suffix.logits(points)).detach())


LATER = ["blocks.last.hook_resid_post", "ln_final.hook_normalized", "blocks.2.hook_resid_pre"]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", LATER)
def test_later_residuals_are_those_of_the_suffix(
    model_of: Callable[[str], Model], family: str, name: str
) -> None:
    model, site = model_of(family), Site.parse(SITES[1])
    prefix = build_prefix(model, tokens(), site)
    points = prefix.base + torch.linspace(0, 1, 4)[:, None] * torch.randn(
        4, model.d_model, generator=torch.Generator().manual_seed(0)
    )
    read = Site.parse(name).resolve(model.n_layers)
    with Suffix(model, site, read=[read], logits=False) as suffix:
        expected = suffix(prefix, points).residuals[read.name]
    found = GradientSuffix(model, prefix).residual(points, name)
    torch.testing.assert_close(found.detach(), expected.clone(), rtol=1e-4, atol=1e-5)


def test_jvp_and_vjp_are_products_with_the_jacobian_in_every_family(
    family_model: Model,
) -> None:
    prefix = build_prefix(family_model, tokens(), Site.parse(SITES[1]))
    suffix, read = GradientSuffix(family_model, prefix), LATER[0]
    width = family_model.d_model
    base = prefix.base.clone()
    # One row of the Jacobian per unit cotangent.
    jacobian = suffix.pull(base.expand(width, -1), torch.eye(width), read)
    tangents = torch.randn(3, width, generator=torch.Generator().manual_seed(2))
    pushed = suffix.push(base.expand(3, -1), tangents, read)
    torch.testing.assert_close(pushed, tangents @ jacobian.T, rtol=1e-3, atol=1e-3)
    size = 2e-3  # small: OPT's ReLUs have kinks
    ahead, behind = (suffix.residual(base + s * tangents, read) for s in (size, -size))
    slope = (ahead - behind).detach() / (2 * size)
    assert float((pushed - slope).norm() / slope.norm()) < 5e-3


def test_a_site_before_the_points_cannot_be_differentiated(
    model_of: Callable[[str], Model],
) -> None:
    model = model_of("gpt2")
    prefix = build_prefix(model, tokens(), Site.parse(SITES[1]))
    with pytest.raises(InputError, match=r"blocks\.0\.hook_resid_pre"):
        GradientSuffix(model, prefix).residual(prefix.base[None], SITES[0])


def test_the_model_is_left_as_it_was(model_of: Callable[[str], Model]) -> None:
    model = model_of("gpt2")
    ids = tokens()[None]
    with torch.no_grad():
        before = model.hf_model(ids).logits
    prefix = build_prefix(model, tokens(), Site.parse(SITES[1]))
    GradientSuffix(model, prefix).gradient(prefix.base[None], lambda logits: logits[:, 0])
    with torch.no_grad():
        assert torch.equal(model.hf_model(ids).logits, before)
    assert all(parameter.grad is None for parameter in model.hf_model.parameters())


def test_only_the_last_position_will_do(model_of: Callable[[str], Model]) -> None:
    model = model_of("gpt2")
    prefix = build_prefix(model, tokens(), Site.parse(SITES[1], position=2))
    with pytest.raises(InputError, match="points at the last position"):
        GradientSuffix(model, prefix)
