"""Drawn synthetics: what is kept, what is drawn from, and that samples are independent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.composition import ActiveLatents
from steppe.activations.synthetic import _moved_in_place, synthetic_baseline, synthetic_random
from steppe.core.errors import InputError
from steppe.core.readings import Reading
from steppe.core.seeds import stream
from steppe.sae.model import Sae
from steppe.sae.rates import FiringRates

Arrays = dict[str, NDArray[Any]]
Build = Callable[..., Tensor]
BUILDERS = [synthetic_random, synthetic_baseline]
ALL_ALIVE = np.linspace(0.1, 0.2, 12)


def generators(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [stream(seed, "test", sample) for sample in range(count)]


def bases(count: int) -> Tensor:
    """Three active latents each, all values different."""
    base = torch.zeros(count, 12)
    base[:, 2], base[:, 5], base[:, 9] = 1.0, 2.0, 3.0
    return base


@pytest.mark.parametrize("build", BUILDERS)
def test_the_text_reading_keeps_every_value_on_a_latent_of_its_own(
    identity_sae: Sae, build: Build
) -> None:
    rates = ALL_ALIVE.copy()
    rates[[0, 11]] = 0
    targets = build(bases(200), identity_sae, rates, generators(200), reading="text")
    for target in targets:
        assert sorted(target[target != 0].tolist()) == [1.0, 2.0, 3.0]
    assert not targets[:, [0, 11]].any()


@pytest.mark.parametrize("build", BUILDERS)
def test_the_code_reading_keeps_some_values_and_makes_up_none(
    identity_sae: Sae, build: Build
) -> None:
    targets = build(bases(200), identity_sae, ALL_ALIVE, generators(200), reading="code")
    numbers = (targets != 0).sum(dim=1)
    assert set(targets.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert numbers.min() < 3
    assert numbers.max() == 3


@settings(deadline=None)
@given(st.lists(st.integers(0, 11), min_size=4, max_size=4))
def test_moving_in_place(new: list[int]) -> None:
    old, values = np.array([1, 4, 6, 9]), np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    vector = np.zeros(12, dtype=np.float32)
    vector[old] = values
    for k, j in zip(old, new, strict=True):
        value = vector[k]
        vector[k] = 0
        vector[j] = value
    moved = _moved_in_place(ActiveLatents(old, values), np.array(new))
    again = np.zeros(12, dtype=np.float32)
    again[moved.ids] = moved.values
    np.testing.assert_array_equal(again, vector)


def test_the_baseline_draws_from_the_ten_nearest_rates(identity_sae: Sae) -> None:
    rates = 0.1 + 0.01 * np.arange(12.0)
    rates[11] = 0.9
    base = torch.zeros(300, 12)
    base[:, 0] = 1
    targets = synthetic_baseline(base, identity_sae, rates, generators(300), reading="code")
    drawn = targets.argmax(dim=1)
    # Never itself, never the eleventh nearest; every other in time.
    assert set(drawn.tolist()) == set(range(1, 11))


def test_random_draws_from_all_that_fire(identity_sae: Sae) -> None:
    rates = ALL_ALIVE.copy()
    rates[3] = 0
    base = torch.zeros(300, 12)
    base[:, 0] = 1
    for reading in ("code", "text"):
        targets = synthetic_random(base, identity_sae, rates, generators(300), reading=reading)
        assert set(targets.argmax(dim=1).tolist()) == set(range(12)) - {3}


def test_dead_latents_are_drawn_in_the_code_reading_of_the_baseline_only(identity_sae: Sae) -> None:
    rates = np.zeros(12)
    rates[:6] = 1e-6
    base = torch.zeros(300, 12)
    base[:, 0] = 1
    code = synthetic_baseline(base, identity_sae, rates, generators(300), reading="code")
    text = synthetic_baseline(base, identity_sae, rates, generators(300), reading="text")
    assert code[:, 6:].any()
    assert not text[:, 6:].any()


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("reading", ["code", "text"])
def test_adding_a_sample_changes_no_other(
    oracle: Arrays, oracle_sae: Sae, oracle_rates: FiringRates, build: Build, reading: Reading
) -> None:
    base = oracle["base"]
    whole = build(base, oracle_sae, oracle_rates, generators(40), reading=reading)
    part = build(base[:9], oracle_sae, oracle_rates, generators(9), reading=reading)
    assert torch.equal(whole[:9], part)
    other = build(base, oracle_sae, oracle_rates, generators(40, seed=1), reading=reading)
    assert not torch.equal(whole, other)


@pytest.mark.parametrize("build", BUILDERS)
def test_one_generator_per_sample(identity_sae: Sae, build: Build) -> None:
    with pytest.raises(InputError) as caught:
        build(bases(3), identity_sae, ALL_ALIVE, generators(2))
    assert str(caught.value) == (
        "generators\n"
        "  got:      2 generators\n"
        "  expected: 3, one per sample\n"
        "  fix:      [steppe.core.seeds.stream(seed, name, sample) for sample in range(count)]"
    )


@pytest.mark.parametrize("build", BUILDERS)
def test_too_few_latents_that_fire(identity_sae: Sae, build: Build) -> None:
    rates = np.zeros(12)
    rates[:2] = 0.1
    with pytest.raises(InputError, match="2 latents that fire"):
        build(bases(1), identity_sae, rates, generators(1), reading="text")


def test_no_latent_that_fires(identity_sae: Sae) -> None:
    with pytest.raises(InputError, match="0 latents that fire"):
        synthetic_random(bases(1), identity_sae, np.zeros(12), generators(1), reading="code")


@pytest.mark.parametrize("build", BUILDERS)
def test_a_base_without_active_latents_gives_the_decoder_bias(
    identity_sae: Sae, build: Build
) -> None:
    assert not build(-torch.ones(2, 12), identity_sae, ALL_ALIVE, generators(2)).any()
