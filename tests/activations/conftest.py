"""SAEs built in code, and the authors' own inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from steppe.sae.config import SaeConfig
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.rates import FiringRates

DATA = Path(__file__).parents[1] / "data" / "authors_functions.npz"


def relu_sae(weights: dict[str, Any]) -> Sae:
    tensors = {name: torch.as_tensor(values) for name, values in weights.items()}
    d_in, d_sae = tensors["W_enc"].shape
    return Sae(SaeConfig("standard", d_in, d_sae), tensors, SaeIdentity("made by hand", "0"))


@pytest.fixture(scope="session")
def oracle() -> dict[str, NDArray[Any]]:
    with np.load(DATA, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def oracle_sae(oracle: dict[str, NDArray[Any]]) -> Sae:
    return relu_sae({name: oracle[name] for name in ("W_enc", "b_enc", "W_dec", "b_dec")})


@pytest.fixture(scope="session")
def oracle_rates(oracle: dict[str, NDArray[Any]]) -> FiringRates:
    return FiringRates.from_values(10.0 ** oracle["log10_rate"])


@pytest.fixture(scope="session")
def identity_sae() -> Sae:
    """Twelve latents, latent k along dimension k: what is decoded can be read off."""
    eye = torch.eye(12)
    return relu_sae(
        {"W_enc": eye, "W_dec": eye, "b_enc": torch.zeros(12), "b_dec": torch.zeros(12)}
    )
