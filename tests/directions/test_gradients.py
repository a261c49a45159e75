"""Directions found by gradients: against the full Jacobian, and against random directions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.directions.conftest import SITE

from steppe.core.errors import InputError
from steppe.directions import Ascent, jacobian_top, melbo, random, response
from steppe.directions.melbo import moved
from steppe.models import Model
from steppe.paths import family_of
from steppe.propagation import build_prefix, propagate

LAST = "blocks.last.hook_resid_post"


def full_jacobian(model: Model, row: torch.Tensor) -> torch.Tensor:
    """By central differences of the model's own outputs, ``(d_model, d_model)`` of J^T."""
    base = build_prefix(model, row, SITE).base.clone()
    steps = 1e-2 * torch.eye(model.d_model)
    points = torch.cat([base + steps, base - steps])
    out = propagate(model, row[None], SITE, points[None]).residuals["blocks.last.hook_resid_post"]
    ahead, behind = out[0].double().split(model.d_model)
    return (ahead - behind) / 2e-2


def test_jacobian_top_is_the_svd_of_the_full_jacobian(model: Model, tokens: torch.Tensor) -> None:
    found = jacobian_top(model, tokens[:1], SITE, 3)
    left, values, _ = torch.linalg.svd(full_jacobian(model, tokens[0]))
    assert found.names == ("jacobian_top:1", "jacobian_top:2", "jacobian_top:3")
    for number in range(3):
        assert found.facts[number]["gain"] == pytest.approx(float(values[number]), rel=2e-3)
        cosine = float(left[:, number] @ found.vectors[number].double())
        assert abs(cosine) > 0.999, number
        assert float(found.vectors[number][found.vectors[number].abs().argmax()]) > 0


def test_the_first_is_the_same_whatever_else_is_asked(model: Model, tokens: torch.Tensor) -> None:
    one, three = (jacobian_top(model, tokens[:2], SITE, count) for count in (1, 3))
    assert torch.equal(one.vectors[0], three.vectors[0])
    assert one.facts[0] == three.facts[0]


def test_of_several_prompts_it_is_that_of_their_jacobians_stacked(
    model: Model, tokens: torch.Tensor
) -> None:
    (found,) = jacobian_top(model, tokens[:3], SITE).vectors
    stacked = torch.cat([full_jacobian(model, row) for row in tokens[:3]], dim=1)
    assert abs(float(torch.linalg.svd(stacked).U[:, 0] @ found.double())) > 0.999


def test_more_singular_vectors_than_there_are_are_refused(
    model: Model, tokens: torch.Tensor
) -> None:
    with pytest.raises(InputError, match="17"):
        jacobian_top(model, tokens[:1], SITE, 17)
    # In centred coordinates one direction of all is nothing.
    with pytest.raises(InputError, match="gain 0"):
        jacobian_top(model, tokens[:1], LAST, 16)


@pytest.mark.parametrize("how", [Ascent(angle=20), Ascent(length=3.0)])
def test_melbo_is_above_a_thousand_random_directions(
    how: Ascent, model: Model, tokens: torch.Tensor
) -> None:
    found = melbo(model, tokens[:2], SITE, ascent=how)
    best = response(model, tokens[:2], SITE, found.vectors, ascent=how)
    drawn = response(model, tokens[:2], SITE, random(model, 1000).vectors, ascent=how)
    assert float(best[0]) > float(drawn.max())
    assert found.facts[0]["response"] == pytest.approx(float(best[0]), rel=1e-3)
    assert found.facts[0]["response_at_start"] < found.facts[0]["response"]


def test_the_response_is_what_propagation_gives(model: Model, tokens: torch.Tensor) -> None:
    drawn, how = random(model, 3).vectors, Ascent(angle=30)
    expected = torch.zeros(3)
    for row in tokens[:2]:
        base = build_prefix(model, row, SITE).base.clone()
        family = family_of("sphere", base.expand(3, -1), drawn)
        points = torch.cat([base[None], family.at(torch.arange(3), torch.full((3,), 30.0))])
        torch.testing.assert_close(moved(base, drawn, how), points[1:], rtol=1e-5, atol=1e-5)
        out = propagate(model, row[None], SITE, points[None]).residuals[LAST][0]
        expected += (out[1:] - out[0]).norm(dim=1) / 2
    found = response(model, tokens[:2], SITE, drawn, ascent=how)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_orthogonal_ones_are_at_right_angles_and_do_not_depend_on_how_many_follow(
    model: Model, tokens: torch.Tensor
) -> None:
    how = Ascent(steps=10, restarts=2)
    found = melbo(model, tokens[:1], SITE, 3, ascent=how)
    torch.testing.assert_close(found.vectors @ found.vectors.T, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found.vectors[:1], melbo(model, tokens[:1], SITE, ascent=how).vectors
    )


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"angle": 0.0}, "angle"),
        ({"angle": 180.0}, "180"),
        ({"length": -1.0}, "-1"),
        ({"length": float("nan")}, "nan"),
        ({"restarts": 0}, "restarts"),
        ({"steps": 0}, "steps"),
        ({"rate": 2.0}, "rate"),
    ],
)
def test_settings_with_which_nothing_moves_are_refused(
    settings: dict[str, Any], match: str, model: Model, tokens: torch.Tensor
) -> None:
    with pytest.raises(InputError, match=match):
        melbo(model, tokens[:1], SITE, ascent=Ascent(**settings))
    with pytest.raises(InputError, match="melbo"):
        melbo(model, tokens[:1], SITE, 16)
