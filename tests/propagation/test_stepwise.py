"""Matrices in half precision multiply the steps of a path, not its points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from steppe.core.sites import Site
from steppe.models import Model, load_model
from steppe.models.half_precision import HalfLinear, halve_matrices
from steppe.propagation import Suffix, build_prefix
from steppe.propagation.stepwise import stepwise

SITE = Site.parse("blocks.1.hook_resid_pre")
LAST = Site.parse("blocks.last.hook_resid_post")
TOKENS = torch.tensor([3, 1, 4, 1, 5])


def half_linear(bias: bool = True) -> HalfLinear:
    """A random matrix in bfloat16."""
    torch.manual_seed(0)
    blocks = nn.Sequential(nn.Linear(24, 16, bias=bias))
    halve_matrices(blocks, torch.bfloat16)
    found: Any = blocks[0]
    return found


@pytest.mark.parametrize("length", [1, 2, 3, 4, 10, 37, 101])
@pytest.mark.parametrize("bias", [True, False])
def test_sums_of_multiplied_steps_are_the_multiplied_points(length: int, bias: bool) -> None:
    linear = half_linear(bias)
    # Steps that bfloat16 holds exactly, so that only the sums and the product's rounding differ.
    steps = torch.randint(-4, 5, (3, length, 24)) / 8
    points = steps.cumsum(1).flatten(0, 1)
    with torch.inference_mode():
        found = stepwise(linear, lambda: (3 * length, length))(points)
        exact = points @ linear.weight.float().T + (linear.bias.float() if bias else 0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, rtol=0, atol=2e-2 * length**0.5)


def test_what_a_step_adds_is_exact_to_the_size_of_the_step() -> None:
    linear = half_linear()
    points = torch.randn(24) + 1e-3 * torch.linspace(0, 1, 50)[:, None] * torch.randn(24)
    exact = (points[1:] - points[:-1]).double() @ linear.weight.detach().double().T
    with torch.inference_mode():
        errors = {
            length: float(
                (stepwise(linear, lambda n=length: (50, n))(points).diff(dim=0) - exact).norm()
            )
            for length in (1, 50)
        }
    assert errors[50] < 0.02 * float(exact.norm()) < errors[1]


def test_several_rows_of_a_point_may_lie_one_after_the_other() -> None:
    linear, rows = half_linear(), torch.randn(6, 4, 24)
    with torch.inference_mode():
        forward = stepwise(linear, lambda: (6, 3))
        found = forward(rows.flatten(0, 1))
        torch.testing.assert_close(found, forward(rows).flatten(0, 1), rtol=0, atol=0)


def test_rows_that_are_no_whole_paths_are_multiplied_one_by_one() -> None:
    linear, rows = half_linear(), torch.randn(7, 24)
    with torch.inference_mode():
        expected = stepwise(linear, lambda: (7, 1))(rows)
        for layout in ((6, 3), (7, 3)):
            found = stepwise(linear, lambda layout=layout: layout)(rows)
            torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.fixture(params=["gpt2", "llama", "gpt_neox"])
def hf_model(request: pytest.FixtureRequest, model_of: Callable[[str], Model]) -> Any:
    return model_of(request.param).hf_model


@pytest.fixture(params=["fast", "general", "full"])
def half(hf_model: Any, request: pytest.FixtureRequest) -> Model:
    return load_model(hf_model, dtype="bfloat16", engine=request.param)


def second_differences(model: Model, path_length: int, site: Site = SITE) -> float:
    """How rough the last residual stream is along a fine path."""
    with torch.inference_mode(), Suffix(model, site, read=[LAST]) as suffix:
        prefix = build_prefix(model, TOKENS, site)
        ends = torch.randn(prefix.base.shape, generator=torch.Generator().manual_seed(0))
        steps = torch.linspace(0, 1, 60).reshape(-1, *[1] * prefix.base.ndim)
        points = prefix.base + 0.2 * steps * ends
        rows = suffix(prefix, points, path_length=path_length).residuals[LAST.name]
        return float(rows.diff(n=2, dim=0).norm())


def test_rounding_adds_no_steps_to_a_path(half: Model) -> None:
    assert second_differences(half, 60) < 0.1 * second_differences(half, 1)


# OPT multiplies the positions of all points as one long row of vectors.
@pytest.mark.parametrize("family", ["gpt2", "opt", "falcon"])
@pytest.mark.parametrize("position", [2, "all"])
def test_nor_where_several_positions_run(
    model_of: Callable[[str], Model], family: str, position: Any
) -> None:
    half = load_model(model_of(family).hf_model, dtype="bfloat16")
    site = replace(SITE, position=position)
    assert second_differences(half, 60, site) < 0.1 * second_differences(half, 1, site)


def test_paths_of_one_batch_know_nothing_of_each_other(half: Model) -> None:
    with torch.inference_mode(), Suffix(half, SITE, read=[LAST], logits=True) as suffix:
        prefix = build_prefix(half, TOKENS, SITE)
        first, second = (prefix.base + torch.randn(2, 9, half.d_model)).unbind(0)
        first = torch.cat([prefix.base[None], first])
        second = torch.cat([second[:1], second])
        together = suffix(prefix, torch.cat([second, first]), path_length=10)
        alone = suffix(prefix, first, path_length=10)
    rows = together.residuals[LAST.name]
    torch.testing.assert_close(rows[10:], alone.residuals[LAST.name], rtol=1e-5, atol=1e-5)
    # A point that does not move stays where it is, to the last bit.
    torch.testing.assert_close(rows[1], rows[0], rtol=0, atol=0)


def test_float32_does_not_know_of_paths(hf_model: Any) -> None:
    model = load_model(hf_model)
    with torch.inference_mode(), Suffix(model, SITE, read=[LAST]) as suffix:
        prefix = build_prefix(model, TOKENS, SITE)
        points = prefix.base + torch.randn(10, model.d_model)
        found = [suffix(prefix, points, path_length=n).residuals[LAST.name] for n in (1, 10)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
