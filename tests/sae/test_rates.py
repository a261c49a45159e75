"""Firing rates come from the sparsity file where there is one, else from activations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.loading import read_sae
from steppe.sae.rates import FiringRates, as_rates, firing_rates, measured_rates


def test_from_the_file(folders: Any, x: Tensor) -> None:
    rates = torch.linspace(0, 0.5, 24)
    rates[1] = 1e-7
    sae = read_sae(folders.write(sparsity={"sparsity": torch.log10(rates + 1e-10)}))
    found = firing_rates(sae, x)
    assert found.source == "sparsity.safetensors"
    assert found.values.dtype == np.float64
    np.testing.assert_allclose(found.values, rates.numpy(), rtol=1e-5)
    assert not found.alive[0]
    assert found.values[0] == 0
    assert found.alive[1:].all()


def test_measured(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write())
    found = firing_rates(sae, x)
    assert found.source == "measured on 5 activations"
    expected = (sae.encode(x) > 0).double().mean(dim=0).numpy()
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found.alive, expected > 0)


def test_neither_file_nor_activations(folders: Any) -> None:
    sae = read_sae(folders.write())
    with pytest.raises(InputError, match=r"no sparsity\.safetensors beside the weights"):
        firing_rates(sae)
    with pytest.raises(InputError, match="at least one activation"):
        measured_rates(sae, torch.zeros(0, 8))


def test_given_rates_take_the_offset_for_dead() -> None:
    rates = FiringRates.from_values(10.0 ** np.array([-10.0, -9.0, -1.0], dtype=np.float32))
    np.testing.assert_array_equal(rates.alive, [False, True, True])


@pytest.mark.parametrize("values", [[0.5, 1.5], [-0.1, 0.5], [np.nan, 0.1], [[0.1], [0.2]], []])
def test_given_rates_are_checked(values: list[Any]) -> None:
    with pytest.raises(InputError):
        as_rates(values, 2)


def test_rates_of_another_sae_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        as_rates([0.1, 0.2, 0.3], 2)
    assert caught.value.got == "3 rates"
    assert caught.value.expected == "2, one per latent of the SAE"
