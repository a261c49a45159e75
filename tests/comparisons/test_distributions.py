"""The KS statistic against scipy's, on integers, ties, NaN and single samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from steppe.comparisons import ks_statistic

steps = st.lists(st.integers(0, 100), min_size=1, max_size=60)


# scipy warns about the p-value of tiny samples, which is not compared here.
@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")
@settings(max_examples=60, deadline=None)
@given(steps, steps)
def test_equal_to_scipy_on_steps(first: list[int], second: list[int]) -> None:
    theirs = ks_2samp(first, second, method="asymp").statistic
    assert ks_statistic(first, second) == pytest.approx(theirs, abs=1e-12)


def test_equal_to_scipy_on_numbers() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=300), rng.normal(0.2, 1.3, size=170)
    theirs = ks_2samp(first, second).statistic
    assert ks_statistic(first, second) == pytest.approx(theirs, abs=1e-12)


def test_known_values() -> None:
    assert ks_statistic([1, 2, 3], [1, 2, 3]) == 0
    assert ks_statistic([1, 1], [2, 2]) == 1
    assert ks_statistic([5], [5]) == 0
    assert ks_statistic([1, 2], [2, 3]) == 0.5


def test_undefined_samples_are_left_out() -> None:
    assert ks_statistic([1, 1, np.nan], [2, np.nan]) == 1
    assert np.isnan(ks_statistic([np.nan], [1]))
    assert np.isnan(ks_statistic([], []))


def test_null_band_is_exceeded_in_five_percent() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(400, 2, 200))
    band = 1.358 * np.sqrt(400 / 200**2)  # Smirnov 1948, for large samples
    exceeded = np.mean([ks_statistic(a, b) > band for a, b in draws])
    assert 0.02 < exceeded < 0.08
