"""Structured synthetics equal the authors', and keep what they promise to keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steppe.activations import structured
from steppe.activations.composition import ActiveLatents, active_latents
from steppe.activations.structured import synthetic_structured
from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.sae.config import SaeConfig
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.rates import FiringRates

Arrays = dict[str, NDArray[Any]]


class Spy:
    """An SAE that remembers the latents it decoded."""

    def __init__(self, sae: Sae) -> None:
        self.sae = sae
        self.W_dec = sae.W_dec
        self.decoded: list[ActiveLatents] = []

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.sae.encode(x)

    def decode(self, latents: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
        self.decoded += active_latents(latents)
        return self.sae.decode(latents, like)


@pytest.mark.parametrize(
    ("cosine", "name"), [(True, "structured"), (False, "structured_without_cosine")]
)
def test_the_code_reading_is_the_authors(
    oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates, cosine: bool, name: str
) -> None:
    targets = synthetic_structured(oracle["base"], oracle_sae, oracle_rates, "code", cosine=cosine)
    assert targets.dtype == torch.float32
    # One latent chosen otherwise moves a target by more than 1.
    np.testing.assert_allclose(targets.numpy(), oracle[name], atol=2e-5, rtol=1e-5)


def test_rates_may_be_an_array(oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates) -> None:
    base, rates = oracle["base"], 10.0 ** oracle["log10_rate"]
    expected = synthetic_structured(base, oracle_sae, oracle_rates)
    assert torch.equal(synthetic_structured(base, oracle_sae, rates), expected)
    given_as_tensor = synthetic_structured(torch.from_numpy(base), oracle_sae, rates.tolist())
    assert torch.equal(given_as_tensor, expected)


@pytest.mark.parametrize("reading", ["code", "text"])
@pytest.mark.parametrize("cosine", [True, False])
def test_values_are_kept_and_latents_are_distinct(
    oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates, reading: Reading, cosine: bool
) -> None:
    spy = Spy(oracle_sae)
    synthetic_structured(oracle["base"], spy, oracle_rates, reading, cosine)
    before = active_latents(oracle_sae.encode(torch.from_numpy(oracle["base"])))
    for old, new in zip(before, spy.decoded, strict=True):
        np.testing.assert_array_equal(np.sort(new.values), np.sort(old.values))
        assert len(set(new.ids.tolist())) == len(old.ids)
        assert new.top != old.top
        if reading == "text":
            assert oracle_rates.alive[new.ids].all()


@pytest.mark.parametrize("reading", ["code", "text"])
def test_the_top_latent_is_the_candidate(
    oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates, reading: Reading
) -> None:
    spy = Spy(oracle_sae)
    synthetic_structured(oracle["base"], spy, oracle_rates, reading)
    before = active_latents(oracle_sae.encode(torch.from_numpy(oracle["base"])))
    units = torch.nn.functional.normalize(oracle_sae.W_dec.double(), dim=1).numpy()
    rates = oracle_rates.values
    for old, new in zip(before, spy.decoded, strict=True):
        distance = np.abs(rates - rates[old.top])
        distance[old.top] = np.inf
        if reading == "text":
            distance[~oracle_rates.alive] = np.inf
        pool = np.argsort(distance, kind="stable")[:100]
        nearest = np.argmin(np.abs(units[pool] @ units[old.top] - 0.42))
        assert new.top == pool[nearest]


def by_hand() -> tuple[Sae, FiringRates]:
    """Six latents in a plane, at 0, 95, 65, 30, 120 and 93 degrees."""
    angles = torch.tensor([0.0, 95.0, 65.0, 30.0, 120.0, 93.0]).deg2rad()
    weights = {
        "W_enc": torch.tensor([[1.0, 0, 0, 0, 0, 0], [0, 0, 0, 1.0, 0, 0]]),
        "W_dec": torch.stack([angles.cos(), angles.sin()], dim=1),
        "b_enc": torch.zeros(6),
        "b_dec": torch.zeros(2),
    }
    sae = Sae(SaeConfig("standard", 2, 6), weights, SaeIdentity("made by hand", "0"))
    return sae, FiringRates.from_values([0.1, 0.3, 0.15, 0.2, 0.12, 0.0])


# Latent 0 is active with 3, latent 3, which is 30 degrees off, with 2.
BASE = [[3.0, 2.0]]


def chosen(spy: Spy) -> dict[int, float]:
    active = spy.decoded[-1]
    return dict(zip(active.ids.tolist(), active.values.tolist(), strict=True))


def test_by_hand() -> None:
    sae, rates = by_hand()
    spy = Spy(sae)
    synthetic_structured(BASE, spy, rates, "code")
    # Latent 2 has cosine 0.4226 to latent 0; latent 1 is 30 degrees from latent 2.
    assert chosen(spy) == {2: 3.0, 1: 2.0}


def test_by_hand_without_cosine() -> None:
    sae, rates = by_hand()
    spy = Spy(sae)
    synthetic_structured(BASE, spy, rates, "code", cosine=False)
    # Latent 4 has the nearest rate to latent 0; latent 5 is 27 degrees from latent 4.
    assert chosen(spy) == {4: 3.0, 5: 2.0}


def test_another_cosine_may_be_sought() -> None:
    sae, rates = by_hand()
    spy = Spy(sae)
    synthetic_structured(BASE, spy, rates, "code", cosine=0.0)
    # Latent 5, at 93 degrees, is nearest to a right angle; latent 2 is 28 degrees from it.
    assert chosen(spy) == {5: 3.0, 2: 2.0}
    default = synthetic_structured(BASE, sae, rates)
    assert torch.equal(synthetic_structured(BASE, sae, rates, cosine=0.42), default)


def test_latents_that_never_fire_are_for_the_code_reading_only() -> None:
    sae, _ = by_hand()
    spy = Spy(sae)
    rates = FiringRates.from_values([0.1, 0.0, 0.11, 0.0, 0.12, 0.0])
    synthetic_structured(BASE, spy, rates, "code")
    assert chosen(spy) == {2: 3.0, 1: 2.0}
    synthetic_structured(BASE, spy, rates, "text")
    assert chosen(spy) == {2: 3.0, 4: 2.0}


def test_too_few_latents_that_fire() -> None:
    sae, _ = by_hand()
    with pytest.raises(InputError, match="1 latents that fire"):
        synthetic_structured(BASE, sae, [0.0, 0.0, 0.0, 0.3, 0.0, 0.0], "text")
    with pytest.raises(InputError, match="no latent that fires, besides"):
        synthetic_structured(BASE, sae, [0.1, 0.0, 0.0, 0.0, 0.0, 0.0], "text")


def test_a_base_without_active_latents_gives_the_decoder_bias() -> None:
    sae, rates = by_hand()
    assert synthetic_structured([[-1.0, -1.0]], sae, rates).tolist() == [[0.0, 0.0]]


def test_no_sample_depends_on_another(
    oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = oracle["base"]
    whole = synthetic_structured(base, oracle_sae, oracle_rates)
    assert torch.equal(synthetic_structured(base[:7], oracle_sae, oracle_rates), whole[:7])
    monkeypatch.setattr(structured, "_ROWS", 3)
    assert torch.equal(synthetic_structured(base, oracle_sae, oracle_rates), whole)


def test_a_decoder_row_of_zeros_is_never_nearest_by_accident() -> None:
    sae, rates = by_hand()
    decoder = sae.W_dec.clone()
    decoder[5] = 0
    weights = dict(sae.weights) | {"W_dec": decoder}
    spy = Spy(Sae(sae.config, weights, sae.identity))
    synthetic_structured(BASE, spy, rates, "code")
    assert chosen(spy) == {2: 3.0, 1: 2.0}


def test_bases_of_another_width_or_with_nan_are_refused(
    oracle_sae: Sae, oracle_rates: FiringRates
) -> None:
    with pytest.raises(InputError) as caught:
        synthetic_structured(np.zeros((2, 47)), oracle_sae, oracle_rates)
    assert caught.value.got == "shape (2, 47)"
    assert caught.value.expected == "shape (sample, 48)"
    with pytest.raises(InputError, match="NaN or infinity in 1 rows, the first is row 1"):
        synthetic_structured([[0.0] * 48, [np.nan] * 48], oracle_sae, oracle_rates)
    with pytest.raises(InputError, match="reading"):
        synthetic_structured(np.zeros((2, 48)), oracle_sae, oracle_rates, "paper")  # type: ignore[arg-type]
