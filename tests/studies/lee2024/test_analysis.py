"""Means, ratios and claims of made-up runs have the values they were made with."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from steppe.core.seeds import stream
from steppe.studies.lee2024.analysis import Estimates, Floats, log_ratio
from steppe.studies.lee2024.claims import interpolated
from steppe.studies.lee2024.plan import LOCAL, SaeFacts, Series
from steppe.studies.lee2024.published import published, published_number

SITE = "blocks.4.hook_resid_pre"
A, B = Series("isotropic", SITE), Series("cov_random_mixture", SITE)
LENGTHS = np.array([0.0, 1.0, 2.0, 4.0])
SAMPLES = 40


def made(factors: dict[Series, float], noise: float = 0.1) -> Estimates:
    """Curves ``factor * length^2``, with one noise per sample that all series share."""
    shared = np.exp(noise * stream(0, "noise").standard_normal(SAMPLES))
    values = np.stack([factor * shared[:, None] * LENGTHS**2 for factor in factors.values()])
    array = xr.DataArray(
        values, dims=("series", "sample", "step"),
        coords={"series": [series.name for series in factors]},
    )  # fmt: skip
    return Estimates.of(array)


def test_means_and_intervals_of_a_curve() -> None:
    estimates = made({A: 1.0, B: 3.0})
    curve = estimates.curve(lambda get: get(A))
    assert curve.mean[0] == curve.low[0] == curve.high[0] == 0
    assert (curve.low[1:] < curve.mean[1:]).all()
    assert (curve.mean[1:] < curve.high[1:]).all()


def test_what_samples_share_does_not_widen_a_ratio() -> None:
    estimates = made({A: 1.0, B: 3.0})
    curve = estimates.curve(lambda get: log_ratio(get, B, A)[..., None])
    np.testing.assert_allclose([curve.mean[0], curve.low[0], curve.high[0]], np.log(3), rtol=1e-9)


def test_samples_without_a_value_are_left_out() -> None:
    values = np.ones((1, SAMPLES, 2))
    values[0, :10] = np.nan
    values[0, 10:20] = 3.0
    array = xr.DataArray(values, dims=("series", "sample", "step"), coords={"series": [A.name]})
    estimates = Estimates.of(array)
    np.testing.assert_allclose(estimates.means, (10 * 3 + 20) / 30)


def test_features_are_interpolated_in_the_logarithm_of_l0() -> None:
    local = [SaeFacts("a", SITE, LOCAL, 8.0, 0), SaeFacts("b", SITE, LOCAL, 32.0, 0)]
    features = [Series("sae_feature_alive", SITE, sae.label) for sae in local]
    estimates = made(dict(zip(features, (1.0, 4.0), strict=True)), noise=0.0)

    def at(l0: float) -> Floats:
        return estimates.curve(
            lambda get: np.exp(interpolated(get, local, "sae_feature_alive", l0))
        ).mean

    np.testing.assert_allclose(at(16.0), 2 * LENGTHS[1:] ** 2)
    np.testing.assert_allclose(at(2.0), LENGTHS[1:] ** 2)
    np.testing.assert_allclose(at(100.0), 4 * LENGTHS[1:] ** 2)


def test_published_numbers() -> None:
    assert len(published("errors")) == 22
    assert len(published("substitution")) == 16
    assert published_number("LH4a") == pytest.approx(np.log(2.866 / 2), abs=0.01)
    assert 0.1 < published_number("LH6a") < 0.3
    assert np.isnan(published_number("LH1a"))
