"""The numbers that decide claims: against textbook values, paired, and with NaN left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from steppe.studies.giglemiani2024.numbers import (
    Place,
    mean_gap,
    share_above_half,
    spread_gap,
)

LATER, EARLIER = ("absolute", "random"), ("absolute", "real")


def steps(n: int = 300) -> dict[Place, np.ndarray]:
    rng = np.random.default_rng(0)
    shared = rng.normal(40, 10, size=n)
    return {LATER: shared + rng.normal(0.6, 3, size=n), EARLIER: shared}


def test_a_gap_of_means_is_a_paired_t_test() -> None:
    given = steps()
    found = mean_gap(given[LATER], given[EARLIER])
    expected = ttest_rel(given[LATER], given[EARLIER])
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_missing_steps_count_for_nothing() -> None:
    given = steps()
    holed = {place: np.where(values > 55, np.nan, values) for place, values in given.items()}
    found = mean_gap(holed[LATER], holed[EARLIER])
    assert found.number == pytest.approx(np.nanmean(holed[LATER]) - np.nanmean(holed[EARLIER]))
    assert found.low < found.number < found.high
    nothing = {LATER: np.full(300, np.nan), EARLIER: given[EARLIER]}
    assert mean_gap(nothing[LATER], nothing[EARLIER]).verdict == "undefined"
    assert share_above_half(nothing[LATER], 0, 1).verdict == "undefined"


def test_a_gap_of_spreads() -> None:
    rng = np.random.default_rng(1)
    given = {LATER: rng.normal(0, 12, size=2000), EARLIER: rng.normal(0, 10, size=2000)}
    found = spread_gap(given[LATER], given[EARLIER])
    assert found.number == pytest.approx(given[LATER].std() - given[EARLIER].std())
    # Standard deviation of a normal sample's: sigma / sqrt(2 n).
    expected = 1.96 * np.sqrt((12**2 + 10**2) / 4000)
    assert found.high - found.number == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("inside", [0, 40, 60, 100])
def test_a_share_has_an_exact_interval_and_stays_within_its_bounds(inside: int) -> None:
    values = np.where(np.arange(100) < inside, 50.0, 0.0)
    found = share_above_half(values, 30, 70)
    interval = binomtest(inside, 100).proportion_ci(method="exact")
    assert (found.low + 0.5, found.high + 0.5) == pytest.approx((interval.low, interval.high))
    assert (found.p < 0.05) == (found.verdict in {"holds", "does not hold"})
