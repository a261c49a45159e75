"""Replacements have the norm, angle and distance that their names promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.activations import Gaussian, Moments, sae_reconstruction
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.paths import SUBSTITUTIONS, DirectionRequest, make_directions, make_substitution
from steppe.sae import Sae, SaeConfig, SaeIdentity

D_MODEL, LATENTS, SAMPLES, POSITIONS = 16, 40, 5, 4


@pytest.fixture(scope="module")
def request_of_tokens() -> DirectionRequest:
    generator = torch.Generator().manual_seed(0)
    decoder = torch.randn(LATENTS, D_MODEL, generator=generator)
    decoder -= decoder.mean(dim=1, keepdim=True)
    decoder /= decoder.norm(dim=1, keepdim=True)
    weights = {"W_enc": decoder.T.clone(), "W_dec": decoder, "b_enc": torch.full((LATENTS,), -0.7),
               "b_dec": torch.zeros(D_MODEL)}  # fmt: skip
    base = 2 * torch.randn(SAMPLES, POSITIONS, D_MODEL, generator=generator)
    mean = np.arange(D_MODEL, dtype=np.float64)
    return DirectionRequest(
        base=base - base.mean(dim=-1, keepdim=True),
        generators=lambda name: [stream(0, name, sample) for sample in range(SAMPLES)],
        gaussian=Gaussian.from_moments(Moments(mean, np.eye(D_MODEL), 100)),
        sae=Sae(SaeConfig("standard", D_MODEL, LATENTS), weights, SaeIdentity("made", "0")),
    )


def reconstruction(request: DirectionRequest) -> Tensor:
    assert request.sae is not None
    return sae_reconstruction(request.rows, request.sae).reshape(request.base.shape)


def test_the_error_direction_at_its_own_length_is_the_substitution(
    request_of_tokens: DirectionRequest,
) -> None:
    base, made = request_of_tokens.base, make_substitution("sae", request_of_tokens)
    length = (made - base).norm(dim=-1, keepdim=True)
    moved = base + length * make_directions("sae_error", request_of_tokens)
    torch.testing.assert_close(moved, made, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["epsilon_random", "epsilon_mixture"])
def test_epsilon_is_as_far_away_as_the_reconstruction(
    request_of_tokens: DirectionRequest, kind: str
) -> None:
    base, made = request_of_tokens.base, reconstruction(request_of_tokens)
    moved = make_substitution(kind, request_of_tokens)
    torch.testing.assert_close((moved - base).norm(dim=-1), (made - base).norm(dim=-1))


@pytest.mark.parametrize(("kind", "norm"), [("theta_random", "base"),
                                            ("theta_random_sae_norm", "sae")])  # fmt: skip
def test_theta_has_the_angle_of_the_reconstruction(
    request_of_tokens: DirectionRequest, kind: str, norm: str
) -> None:
    base, made = request_of_tokens.base, reconstruction(request_of_tokens)
    turned = make_substitution(kind, request_of_tokens)
    cosines = [torch.cosine_similarity(base, v, dim=-1) for v in (turned, made)]
    torch.testing.assert_close(*cosines, atol=1e-5, rtol=1e-5)
    wanted = (base if norm == "base" else made).norm(dim=-1)
    torch.testing.assert_close(turned.norm(dim=-1), wanted)


def test_norms_are_exchanged(request_of_tokens: DirectionRequest) -> None:
    base, made = request_of_tokens.base, reconstruction(request_of_tokens)
    shorter = make_substitution("sae_norm", request_of_tokens)
    corrected = make_substitution("norm_corrected", request_of_tokens)
    torch.testing.assert_close(shorter.norm(dim=-1), made.norm(dim=-1))
    torch.testing.assert_close(corrected.norm(dim=-1), base.norm(dim=-1))
    ones = torch.ones(SAMPLES, POSITIONS)
    torch.testing.assert_close(torch.cosine_similarity(shorter, base, dim=-1), ones)
    torch.testing.assert_close(torch.cosine_similarity(corrected, made, dim=-1), ones)


def test_ablations(request_of_tokens: DirectionRequest) -> None:
    assert not make_substitution("zero_ablation", request_of_tokens).any()
    mean = make_substitution("mean_ablation", request_of_tokens)
    torch.testing.assert_close(mean[2, 3], torch.arange(D_MODEL, dtype=torch.float32))


def test_an_sae_is_asked_for_where_it_is_needed(request_of_tokens: DirectionRequest) -> None:
    without = replace(request_of_tokens, sae=None)
    for name, kind in SUBSTITUTIONS.items():
        if kind.needs_sae:
            with pytest.raises(InputError, match="no SAE"):
                make_substitution(name, without)
        else:
            assert make_substitution(name, without).shape == without.base.shape
