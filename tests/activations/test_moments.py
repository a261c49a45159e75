"""Moments equal numpy's, however the activations come."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steppe.activations.moments import estimate_moments, estimate_moments_of_chunks
from steppe.core.errors import InputError


@pytest.mark.parametrize("ddof", [0, 1])
def test_against_numpy(ddof: int) -> None:
    rows = np.random.default_rng(0).standard_normal((5000, 6)).astype(np.float32) + 100
    found = estimate_moments(rows, ddof)
    assert found.count == 5000
    np.testing.assert_allclose(found.mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-12)
    expected = np.cov(rows.astype(np.float64), rowvar=False, ddof=ddof)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.covariance, found.covariance.T)


def test_chunks_of_any_size() -> None:
    rows = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    whole = estimate_moments(rows)
    chunks = estimate_moments_of_chunks([rows[:1], rows[1:1], rows[1:60], rows[60:]])
    np.testing.assert_allclose(chunks.covariance, whole.covariance, rtol=1e-12, atol=1e-15)
    assert chunks.count == 100


@pytest.mark.parametrize("count", [0, 1])
def test_too_few(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} activations"):
        estimate_moments(np.zeros((count, 3)))


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        estimate_moments(np.full((4, 3), np.nan))
