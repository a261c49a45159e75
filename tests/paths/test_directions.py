"""Directions have length 1, come from their sample alone, and hold the base only where they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.activations import Gaussian, estimate_moments, sae_reconstruction
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.paths import DIRECTIONS, DirectionRequest, blended, make_directions
from steppe.sae import FiringRates, Sae, SaeConfig, SaeIdentity

D_MODEL, LATENTS, DEAD = 24, 60, 5
SAMPLES, POSITIONS = 40, 6


def generators(count: int, name: str) -> Sequence[np.random.Generator]:
    return [stream(3, name, sample) for sample in range(count)]


def cloud(count: int, seed: int) -> Tensor:
    """Centred activations of unequal spread about a mean."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, D_MODEL, generator=generator) * torch.linspace(0.2, 3, D_MODEL)
    rows = rows + torch.linspace(-1, 2, D_MODEL)
    return rows - rows.mean(dim=1, keepdim=True)


def random_sae() -> Sae:
    generator = torch.Generator().manual_seed(1)
    decoder = torch.randn(LATENTS, D_MODEL, generator=generator)
    weights = {
        "W_enc": decoder.T.clone(), "W_dec": decoder, "b_dec": torch.zeros(D_MODEL),
        "b_enc": torch.full((LATENTS,), -8.0),
    }  # fmt: skip
    weights["b_enc"][:DEAD] = -1e6
    return Sae(SaeConfig("standard", D_MODEL, LATENTS), weights, SaeIdentity("made by hand", "0"))


RATES = FiringRates.from_values(np.where(np.arange(LATENTS) < DEAD, 0.0, 0.1))


def make_request(
    samples: int = SAMPLES, *, tokens: bool = True, **changes: Any
) -> DirectionRequest:
    base = cloud(SAMPLES * POSITIONS, 0).reshape(SAMPLES, POSITIONS, D_MODEL)[:samples]
    pool = cloud(500, 5)
    request = DirectionRequest(
        base=base if tokens else base[:, 0],
        generators=partial(generators, samples),
        gaussian=Gaussian.from_moments(estimate_moments(pool)),
        pool=pool,
        sae=random_sae(),
        rates=RATES,
    )
    return replace(request, **changes)


@pytest.mark.parametrize("kind", DIRECTIONS)
def test_directions_have_length_one(kind: str) -> None:
    for tokens in (True, False):
        request = make_request(tokens=tokens)
        directions = make_directions(kind, request)
        assert directions.shape == request.base.shape
        assert directions.dtype == torch.float32
        torch.testing.assert_close(directions.norm(dim=-1), torch.ones(request.base.shape[:-1]))


@pytest.mark.parametrize("kind", DIRECTIONS)
def test_a_sample_draws_from_its_own_generator(kind: str) -> None:
    few, many = (make_directions(kind, make_request(samples)) for samples in (3, SAMPLES))
    torch.testing.assert_close(few, many[:3], rtol=0, atol=0)


def mean_cosine(directions: Tensor, base: Tensor) -> tuple[float, float]:
    """Mean cosine with the base about the mean, and its standard error."""
    away = (base - cloud(500, 5).mean(dim=0)).reshape(-1, D_MODEL)
    cosines = torch.cosine_similarity(directions.reshape(-1, D_MODEL), away, dim=1)
    return float(cosines.mean()), float(cosines.std() / len(cosines) ** 0.5)


@pytest.mark.parametrize("source", ["cov_random", "real"])
def test_mixtures_do_not_hold_the_base_and_differences_do(source: str) -> None:
    request = make_request()
    mixture = make_directions(f"{source}_mixture", request)
    mean, error = mean_cosine(mixture, request.base)
    assert abs(mean) < 4 * error
    mean, error = mean_cosine(make_directions(f"{source}_difference", request), request.base)
    assert mean < -20 * error


def test_a_blend_leads_from_difference_to_mixture() -> None:
    request = make_request()
    ends = [blended(request, "real", proportion) for proportion in (0.0, 0.5, 1.0)]
    assert torch.equal(ends[0], make_directions("real_difference", request))
    assert torch.equal(ends[2], make_directions("real_mixture", request))
    cosines = [mean_cosine(directions, request.base)[0] for directions in ends]
    assert cosines == sorted(cosines)


def test_directions_of_centred_activations_are_mean_free() -> None:
    for kind in ("isotropic", "cov_random_mixture", "real_mixture", "real_difference"):
        means = make_directions(kind, make_request()).mean(dim=-1)
        torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-6, rtol=0)


def test_the_error_at_its_own_length_is_the_reconstruction() -> None:
    request = make_request(tokens=False)
    assert request.sae is not None
    reconstruction = sae_reconstruction(request.base, request.sae)
    lengths = (reconstruction - request.base).norm(dim=1, keepdim=True)
    moved = request.base + lengths * make_directions("sae_error", request)
    torch.testing.assert_close(moved, reconstruction, atol=1e-5, rtol=1e-5)


def latent_of(directions: Tensor) -> Tensor:
    """Which decoder row each direction is."""
    decoder = random_sae().W_dec / random_sae().W_dec.norm(dim=1, keepdim=True)
    cosines = directions.reshape(-1, D_MODEL) @ decoder.T
    torch.testing.assert_close(cosines.max(dim=1).values, torch.ones(len(cosines)))
    latents: Tensor = cosines.argmax(dim=1)
    return latents.reshape(directions.shape[:-1])


def test_features_are_chosen_among_those_that_are_meant() -> None:
    request = make_request()
    active = random_sae().encode(request.base) > 0
    in_prompt = active.any(dim=1)

    def chosen(choice: str) -> Tensor:
        return latent_of(make_directions(f"sae_feature_{choice}", request))

    assert active.gather(2, chosen("active")[..., None]).all()
    assert in_prompt.gather(1, chosen("active_in_prompt")).all()
    alive = chosen("alive")
    assert not in_prompt.gather(1, alive).any()
    assert (alive >= DEAD).all()
    assert (chosen("dead") < DEAD).all()
    assert len(set(chosen("any").flatten().tolist())) > LATENTS / 2


def test_what_is_active_at_the_first_position_can_be_left_out() -> None:
    request = make_request()
    base = request.base.clone()
    base[:, 0] = 100 * random_sae().W_dec[7]  # a first position unlike any other
    without = replace(request, base=base, ordinary_from=1)
    active = (random_sae().encode(base) > 0)[:, 1:].any(dim=1)
    chosen = latent_of(make_directions("sae_feature_active_in_prompt", without))
    assert active.gather(1, chosen).all()


def test_against_is_the_opposite_of_along() -> None:
    request = make_request()
    along, against = (
        make_directions(f"sae_feature_active{sense}", request) for sense in ("", "_against")
    )
    assert torch.equal(along, -against)


def test_a_direction_that_is_not_there_is_undefined() -> None:
    everything = FiringRates.from_values(np.full(LATENTS, 0.1))
    directions = make_directions("sae_feature_dead", make_request(rates=everything))
    assert directions.isnan().all()


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("gaussian", "cov_random_mixture"),
        ("pool", "real_mixture"),
        ("sae", "sae_error"),
        ("rates", "sae_feature_dead"),
    ],
)
def test_what_is_lacking_is_named(part: str, kind: str) -> None:
    request = replace(make_request(), **{part: None})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"(?i)no {part}"):
        make_directions(kind, request)


def test_a_pool_that_holds_nothing_else_is_refused() -> None:
    request = make_request(1, tokens=False)
    with pytest.raises(InputError, match="pool of real activations"):
        make_directions("real_difference", replace(request, pool=request.base))


def test_an_unknown_kind_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'real_mixture'"):
        make_directions("real_mixtur", make_request())
