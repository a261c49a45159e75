from __future__ import annotations

from typing import Literal

import pytest
import torch

from steppe.core.errors import InputError
from steppe.core.sites import Site
from steppe.models import Model
from steppe.propagation import (
    propagate,
    propagate_in_batches,
    read_residuals,
    set_memory_budget,
)

TOKENS = torch.arange(3 * 8).reshape(3, 8)
SITE = Site.parse("blocks.1.hook_resid_pre")
LAST = "blocks.last.hook_resid_post"


def points_from(base: torch.Tensor, n_steps: int = 5) -> torch.Tensor:
    direction = torch.linspace(-2.0, 2.0, base.shape[-1]).cos()
    steps = torch.arange(n_steps).reshape(1, -1, *[1] * (base.ndim - 1))
    return base.unsqueeze(1) + steps * direction


def test_step_0_gives_the_clean_outputs(gpt2: Model) -> None:
    points = points_from(read_residuals(gpt2, TOKENS, SITE))
    outputs = propagate(gpt2, TOKENS, SITE, points, logits=True)
    assert outputs.logits is not None
    assert outputs.residuals[LAST].shape == (3, 5, gpt2.d_model)
    assert outputs.logits.shape == (3, 5, gpt2.d_vocab)
    with torch.no_grad():
        clean = gpt2.hf_model(TOKENS).logits[:, -1]
    torch.testing.assert_close(outputs.logits[:, 0], clean, rtol=1e-5, atol=1e-5)
    residual = read_residuals(gpt2, TOKENS, Site.parse(LAST))
    torch.testing.assert_close(outputs.residuals[LAST][:, 0], residual, rtol=1e-5, atol=1e-5)


def test_several_sites_are_read_at_once_and_named_as_asked(gpt2: Model) -> None:
    points = points_from(read_residuals(gpt2, TOKENS, SITE))
    outputs = propagate(gpt2, TOKENS, SITE.name, points, read=[LAST, "resid_post:1"])
    assert set(outputs.residuals) == {LAST, "blocks.1.hook_resid_post"}
    assert outputs.logits is None


def test_all_positions_keep_a_position_axis(gpt2: Model) -> None:
    site = Site.parse(SITE.name, "all")
    points = points_from(read_residuals(gpt2, TOKENS, site))
    outputs = propagate(gpt2, TOKENS, site, points, logits=True)
    assert outputs.logits is not None
    assert outputs.residuals[LAST].shape == (3, 5, 8, gpt2.d_model)
    with torch.no_grad():
        clean = gpt2.hf_model(TOKENS).logits
    torch.testing.assert_close(outputs.logits[:, 0], clean, rtol=1e-5, atol=1e-5)


def test_a_subset_of_prompts_gives_the_same_numbers(gpt2: Model) -> None:
    points = points_from(read_residuals(gpt2, TOKENS, SITE))
    whole = propagate(gpt2, TOKENS, SITE, points)
    part = propagate(gpt2, TOKENS[1:2], SITE, points[1:2])
    assert torch.equal(whole.residuals[LAST][1:2], part.residuals[LAST])


def test_points_for_other_prompts_are_refused(gpt2: Model) -> None:
    points = points_from(read_residuals(gpt2, TOKENS, SITE))
    with pytest.raises(InputError) as caught:
        propagate(gpt2, TOKENS[:2], SITE, points)
    assert str(caught.value) == (
        "points\n"
        "  got:      shape (3, 5, 32) for 2 prompts\n"
        "  expected: (2, step, 32)\n"
        "  fix:      pass one set of points per prompt, in the residual stream's width"
    )


@pytest.mark.parametrize(
    ("position", "shape", "expected"),
    [
        (-1, (3, 1, 5, 32), "(3, step, 32)"),
        (-1, (3, 5, 31), "(3, step, 32)"),
        ("all", (3, 5, 32), "(3, step, 8, 32)"),
        ("all", (3, 5, 7, 32), "(3, step, 8, 32)"),
    ],
)
def test_points_of_another_shape_are_refused_as_a_whole(
    gpt2: Model, position: int | Literal["all"], shape: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        propagate(gpt2, TOKENS, Site(1, "resid_pre", position), torch.zeros(shape))
    assert f"expected: {expected}" in str(caught.value)


@pytest.mark.parametrize("budget", [None, 2**13])
def test_batches_hold_the_same_points_in_order(gpt2: Model, budget: int | None) -> None:
    points = points_from(read_residuals(gpt2, TOKENS, SITE))
    whole = propagate(gpt2, TOKENS, SITE, points, logits=True)
    assert whole.logits is not None
    set_memory_budget(budget)
    try:
        paths = (path for path in points)
        batches = list(propagate_in_batches(gpt2, TOKENS, SITE, paths, logits=True))
    finally:
        set_memory_budget(None)
    assert (len(batches) > 3) == (budget is not None)
    for prompt in range(3):
        mine = [batch for batch in batches if batch.prompt == prompt]
        found = [batch.outputs.after(batch.steps) for batch in mine]
        residuals = torch.cat([outputs.residuals[LAST] for outputs in found])
        torch.testing.assert_close(residuals, whole.residuals[LAST][prompt], rtol=1e-5, atol=1e-5)
        logits = torch.cat([outputs.logits for outputs in found if outputs.logits is not None])
        torch.testing.assert_close(logits, whole.logits[prompt], rtol=1e-5, atol=1e-5)
        for batch in mine:
            first = batch.outputs.residuals[LAST][0]
            torch.testing.assert_close(first, whole.residuals[LAST][prompt, 0])
