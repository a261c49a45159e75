"""How evenly an SAE's decoder rows point everywhere is what it was made to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.activations import Moments
from steppe.recipes.lee2024.plan import LOCAL, SaeFacts
from steppe.recipes.lee2024.saes import UsedSae, sae_dataset
from steppe.sae import FiringRates, Sae, SaeConfig, SaeIdentity, SaeQuality

D_MODEL = 4
SITE = "blocks.1.hook_resid_pre"


def made(rows: Tensor, rates: list[float], **identity: str) -> UsedSae:
    weights = {"W_enc": rows.T.clone(), "W_dec": rows, "b_enc": torch.zeros(len(rows)),
               "b_dec": torch.zeros(D_MODEL)}  # fmt: skip
    sae = Sae(
        SaeConfig("standard", D_MODEL, len(rows)), weights, SaeIdentity("made", "0", **identity)
    )
    facts = SaeFacts("made", SITE, LOCAL, 2.0, rates.count(0.0))
    return UsedSae(sae, FiringRates.from_values(rates), SaeQuality(0.9, 2.0, 0.0, 10), facts)


def shape(rows: Tensor, rates: list[float], variances: list[float]) -> dict[str, float]:
    moments = Moments(np.zeros(D_MODEL), np.diag(variances), 100)
    table = sae_dataset([made(rows, rates)], {SITE: moments})
    return {str(name): float(values[0]) for name, values in table.data_vars.items()}


def test_rows_along_every_axis_are_isotropic() -> None:
    # Lengths do not matter: rows are made unit vectors.
    found = shape(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])), [0.1] * 4, [4.0, 0, 0, 0])
    assert found["effective_dimension_alive"] == pytest.approx(1.0)
    assert found["variance_along_alive"] == pytest.approx(1.0)
    assert found["effective_dimension_activations"] == pytest.approx(1 / D_MODEL)
    assert np.isnan(found["effective_dimension_dead"])


def test_rows_along_one_axis_are_not() -> None:
    rows = torch.zeros(3, D_MODEL)
    rows[:, 0] = torch.tensor([1.0, -1.0, 2.0])
    found = shape(rows, [0.1] * 3, [3.0, 1.0, 0.0, 0.0])
    assert found["effective_dimension_alive"] == pytest.approx(1 / D_MODEL)
    assert found["variance_along_alive"] == pytest.approx(3.0)


def test_dead_rows_and_rates_are_told_apart() -> None:
    rows = torch.eye(D_MODEL)
    found = shape(rows, [0.3, 0.1, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0])
    assert found["dead"] == 2
    assert found["effective_dimension_alive"] == pytest.approx(0.5)
    assert found["effective_dimension_dead"] == pytest.approx(0.5)
    assert found["effective_dimension_by_rate"] == pytest.approx(0.16 / 0.1 / D_MODEL)
    assert found["variance_along_alive"] == pytest.approx(2.0)
    assert found["variance_along_by_rate"] == pytest.approx(1.5)
