"""Explained variance, L0 and dead share are what a direct computation gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from steppe.core.errors import InputError
from steppe.sae.config import SaeConfig
from steppe.sae.loading import read_sae
from steppe.sae.model import Sae, SaeIdentity
from steppe.sae.quality import quality


def test_a_perfect_sae() -> None:
    eye = torch.eye(4)
    weights = {
        "W_enc": torch.cat([eye, -eye, eye], dim=1),
        "b_enc": torch.tensor([0.0] * 8 + [-1e6] * 4),
        "W_dec": torch.cat([eye, -eye, eye]),
        "b_dec": torch.zeros(4),
    }
    sae = Sae(SaeConfig("standard", 4, 12), weights, SaeIdentity("made by hand", "0"))
    x = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
    found = quality(sae, x)
    assert found.explained_variance == pytest.approx(1)
    assert found.mean_l0 == 4
    assert found.dead_share == pytest.approx(1 / 3)
    assert found.count == 1000


def test_against_a_direct_computation(folders: Any, x: Tensor) -> None:
    sae = read_sae(folders.write(folders.v6(normalize_activations="layer_norm")))
    error = (x - sae.decode(sae.encode(x), like=x)).square().sum()
    variance = (x - x.mean(dim=0)).square().sum()
    assert quality(sae, x).explained_variance == pytest.approx(float(1 - error / variance))


def test_one_activation_has_no_variance(folders: Any, x: Tensor) -> None:
    with pytest.raises(InputError, match="at least 2"):
        quality(read_sae(folders.write()), x[:1])
