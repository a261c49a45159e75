"""A reconstruction is encode then decode, on the activation's own scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from steppe.activations.reconstruction import sae_reconstruction
from steppe.sae.model import Sae


def test_encode_then_decode(oracle: dict[str, NDArray[Any]], oracle_sae: Sae) -> None:
    x = torch.from_numpy(oracle["base"])
    expected = oracle_sae.decode(oracle_sae.encode(x))
    assert torch.equal(sae_reconstruction(x, oracle_sae), expected)
    assert torch.equal(sae_reconstruction(oracle["base"], oracle_sae), expected)


def test_a_normalising_sae_gets_the_activations_back(
    oracle: dict[str, NDArray[Any]], oracle_sae: Sae
) -> None:
    config = replace(oracle_sae.config, normalize_activations="layer_norm")
    sae = replace(oracle_sae, config=config)
    x = torch.from_numpy(oracle["base"])
    torch.testing.assert_close(
        sae_reconstruction(100 * x, sae), 100 * sae_reconstruction(x, sae), atol=1e-2, rtol=1e-3
    )
