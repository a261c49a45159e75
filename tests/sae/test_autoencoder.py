"""Any object with encode, decode and W_dec does what an SAE of steppe's own does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import steppe
from steppe.core.errors import InputError
from steppe.core.seeds import stream
from steppe.paths.direction_request import DirectionRequest
from steppe.sae import as_autoencoder, as_rates, measured_rates, quality
from steppe.sae.loading import read_sae


class Mine(nn.Module):
    """An SAE as users write one: parameters with gradients, float64, no argument `like`."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.W_dec = nn.Parameter(weights["W_dec"].double())
        self.W_enc = nn.Parameter(weights["W_enc"].double())
        self.b_enc = nn.Parameter(weights["b_enc"].double())
        self.b_dec = nn.Parameter(weights["b_dec"].double())
        self.d_sae, self.d_in = self.W_dec.shape

    def encode(self, x: Tensor) -> Tensor:
        return ((x - self.b_dec) @ self.W_enc + self.b_enc).relu()

    def decode(self, latents: Tensor) -> Tensor:
        return latents @ self.W_dec + self.b_dec


class Theirs(nn.Module):
    """As dictionary_learning's AutoEncoder: Linear layers, and no W_dec."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.activation_dim, self.dict_size = weights["W_enc"].shape
        self.bias = nn.Parameter(weights["b_dec"].clone())
        self.encoder = nn.Linear(self.activation_dim, self.dict_size)
        self.decoder = nn.Linear(self.dict_size, self.activation_dim, bias=False)
        with torch.no_grad():
            self.encoder.weight.copy_(weights["W_enc"].T)
            self.encoder.bias.copy_(weights["b_enc"])
            self.decoder.weight.copy_(weights["W_dec"].T)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x - self.bias).relu()

    def decode(self, f: Tensor) -> Tensor:
        return self.decoder(f) + self.bias


@pytest.fixture
def mine(folders: Any) -> Mine:
    return Mine(folders.weights())


@pytest.fixture
def activations() -> Tensor:
    return 2 * torch.randn(40, 8, generator=torch.Generator().manual_seed(1))


def test_rates_and_quality(folders: Any, mine: Mine, activations: Tensor) -> None:
    ours = read_sae(folders.write())
    rates = steppe.firing_rates(mine, activations)
    np.testing.assert_array_equal(rates.values, steppe.firing_rates(ours, activations).values)
    assert measured_rates(mine, activations).source == "measured on 40 activations"
    found, expected = quality(mine, activations), quality(ours, activations)
    assert found.explained_variance == pytest.approx(expected.explained_variance)
    assert found.mean_l0 == expected.mean_l0


def test_targets_and_statistics(folders: Any, mine: Mine, activations: Tensor) -> None:
    ours, rates = read_sae(folders.write()), as_rates(np.full(24, 0.1), 24)
    make = steppe.activations
    for build in (
        lambda sae: make.sae_reconstruction(activations, sae),
        lambda sae: make.synthetic_random(
            activations, sae, rates, [stream(0, "x", i) for i in range(40)]
        ),
        lambda sae: make.synthetic_structured(activations, sae, rates),
    ):
        found, expected = build(mine), build(ours)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    found = make.latent_statistics(activations, mine)
    np.testing.assert_array_equal(found.l0, make.latent_statistics(activations, ours).l0)


def test_directions(folders: Any, mine: Mine, activations: Tensor) -> None:
    def active(sae: Any) -> Tensor:
        moments = steppe.activations.estimate_moments(activations)
        gaussian = steppe.activations.Gaussian.from_moments(moments)
        return DirectionRequest(
            base=activations, generators=lambda name: [], gaussian=gaussian, pool=activations,
            sae=sae,
        ).active  # fmt: skip

    torch.testing.assert_close(active(mine), active(read_sae(folders.write())))


def test_a_decoder_the_other_way_round_is_named(mine: Mine, activations: Tensor) -> None:
    mine.decode = lambda latents: latents  # type: ignore[method-assign]
    mine.W_dec = nn.Parameter(mine.W_dec.detach().T)
    with pytest.raises(InputError, match=r"\(40, 24\) for activations \(40, 8\)"):
        measured_rates(mine, activations)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_an_sae_of_sae_lens(folders: Any, activations: Tensor) -> None:
    from sae_lens import SAE

    folder = folders.write(folders.v6(architecture="topk", k=5))
    theirs, ours = SAE.load_from_disk(folder), read_sae(folder)
    rates = steppe.firing_rates(theirs, activations)
    np.testing.assert_array_equal(rates.values, steppe.firing_rates(ours, activations).values)
    found = quality(theirs, activations).explained_variance
    assert found == pytest.approx(quality(ours, activations).explained_variance, rel=1e-5)


def test_an_object_of_dictionary_learning(folders: Any, activations: Tensor) -> None:
    ours, theirs = read_sae(folders.write()), Theirs(folders.weights())
    rates = steppe.firing_rates(theirs, activations)  # type: ignore[arg-type]
    np.testing.assert_array_equal(rates.values, measured_rates(ours, activations).values)
    found, expected = quality(theirs, activations), quality(ours, activations)  # type: ignore[arg-type]
    assert found.explained_variance == pytest.approx(expected.explained_variance)
    made = as_autoencoder(theirs)
    torch.testing.assert_close(made.W_dec, ours.W_dec)
    torch.testing.assert_close(made.encode(activations), ours.encode(activations))
    tops = [steppe.directions.sae_top(sae, activations, 2).vectors for sae in (theirs, ours)]  # type: ignore[arg-type]
    torch.testing.assert_close(*tops)


def test_an_object_that_is_no_sae_is_refused(activations: Tensor) -> None:
    with pytest.raises(InputError, match="Linear without encode, W_dec"):
        quality(nn.Linear(8, 8), activations)  # type: ignore[arg-type]
