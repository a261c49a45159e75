"""Draws have the mean and covariance they were asked for, and stay mean-free."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steppe.activations.gaussian import Gaussian
from steppe.activations.moments import Moments, estimate_moments
from steppe.core.errors import InputError
from steppe.core.seeds import stream


def generators(count: int) -> list[np.random.Generator]:
    return [stream(0, "random_target", sample) for sample in range(count)]


def centered_cloud(count: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) + 5
    return torch.from_numpy(rows - rows.mean(axis=1, keepdims=True)).float()


def test_the_covariance_of_centred_activations_is_singular_and_draws_are_mean_free() -> None:
    moments = estimate_moments(centered_cloud(2000, 12))
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(moments.covariance - 1e-6 * np.eye(12))
    draws = Gaussian.from_moments(moments).draw(generators(4000))
    assert draws.dtype == torch.float32
    assert float(draws.mean(dim=1).abs().max()) < 1e-6
    found = estimate_moments(draws)
    scale = np.sqrt(np.diag(moments.covariance))
    error = np.abs(found.covariance - moments.covariance) / np.outer(scale, scale)
    assert error.max() < 5 * np.sqrt(2 / 4000)
    assert (np.abs(found.mean - moments.mean) / scale).max() < 5 / np.sqrt(4000)


def test_the_root_is_the_symmetric_one() -> None:
    moments = estimate_moments(centered_cloud(200, 12))
    root = Gaussian.from_moments(moments).root
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    np.testing.assert_allclose(root @ root, moments.covariance, rtol=1e-9, atol=1e-9)


def test_fewer_activations_than_dimensions() -> None:
    moments = estimate_moments(centered_cloud(5, 12))
    draws = Gaussian.from_moments(moments).draw(generators(50)).double().numpy()
    assert np.linalg.matrix_rank(draws - moments.mean, tol=1e-3) == 4


def test_adding_a_sample_changes_no_other() -> None:
    gaussian = Gaussian.from_moments(estimate_moments(centered_cloud(200, 12)))
    assert torch.equal(gaussian.draw(generators(100))[:7], gaussian.draw(generators(7)))
    assert gaussian.draw([]).shape == (0, 12)


def test_broken_moments_are_refused() -> None:
    with pytest.raises(InputError, match=r"mean \(3,\), covariance \(2, 2\)"):
        Gaussian.from_moments(Moments(np.zeros(3), np.eye(2), 5))
    with pytest.raises(InputError, match="NaN"):
        Gaussian.from_moments(Moments(np.zeros(2), np.full((2, 2), np.nan), 5))
