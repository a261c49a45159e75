"""How evenly an SAE's decoder rows point everywhere is what it was made to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from steppe.activations import Moments
from steppe.sae import FiringRates
from steppe.studies.lee2024.saes import decoder_shape

D_MODEL = 4


def shape(rows: Tensor, rates: list[float], variances: list[float]) -> dict[str, float]:
    moments = Moments(np.zeros(D_MODEL), np.diag(variances), 100)
    return decoder_shape(rows, FiringRates.from_values(rates), moments)


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
