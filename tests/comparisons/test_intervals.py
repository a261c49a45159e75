"""Bootstrap intervals: paired, seeded, near scipy's, and honest about what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from steppe.comparisons import Resamples, mean_interval


def resamples(n: int, count: int = 1000, seed: int = 0) -> Resamples:
    return Resamples.draw(n, count, np.random.default_rng(seed))


def test_mean_interval_is_near_scipys() -> None:
    values = np.random.default_rng(0).gamma(2.0, 5.0, size=200)
    ours = mean_interval(values, resamples(200, 4000))
    rng = np.random.default_rng(1)
    theirs = bootstrap((values,), np.mean, n_resamples=4000, rng=rng).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.1)


def test_mean_intervals_hold_the_mean() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        low, high = mean_interval(rng.normal(3, 2, size=80), resamples(80, 300, rng.integers(9**9)))
        held += low <= 3 <= high
    assert 175 <= held <= 200


def test_the_same_resamples_each_time_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(size=60).round(1)
    drawn = resamples(60, 100)
    whole = mean_interval(values, drawn)
    monkeypatch.setattr("steppe.comparisons.intervals._BLOCK", 500)
    assert mean_interval(values, drawn) == whole


def test_undefined_samples_are_left_out() -> None:
    values = np.array([1.0, 2, 3, 4, np.nan, np.nan])
    low, high = mean_interval(values, resamples(6))
    assert 1 <= low < 2.5 < high <= 4


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0, np.nan], [3.0]])
def test_too_few_samples(values: list[float]) -> None:
    drawn = resamples(len(values), 50)
    assert np.isnan(mean_interval(values, drawn)).all()


def test_constant_samples() -> None:
    assert mean_interval(np.full(20, 7.0), resamples(20, 50)) == (7, 7)
