"""The error of KS statistics: paired, seeded, bounded near zero, and undefined where it must be."""

from __future__ import annotations

import numpy as np
import pytest

from steppe.comparisons import (
    Resamples,
    Weighted,
    ks_interval,
    ks_statistic,
    ks_sum,
    ks_within,
)


def draws(n: int, count: int = 1000, seed: int = 0) -> Resamples:
    return Resamples.draw(n, count, np.random.default_rng(seed))


def pair(shift: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    reference = rng.normal(40, 10, size=n).round()
    return reference + rng.normal(shift, 4, size=n).round(), reference


def test_the_interval_holds_the_statistic() -> None:
    values, reference = pair(6)
    low, high = ks_interval(values, reference, draws(400))
    assert 0 < low < ks_statistic(values, reference) < high < 1


def test_near_zero_the_interval_is_an_upper_bound() -> None:
    rng = np.random.default_rng(0)
    low, high = ks_interval(rng.normal(size=200), rng.normal(size=200), draws(200))
    assert low == 0
    assert 0.1 < high < 0.3


def test_pairs_make_the_interval_narrower() -> None:
    values, reference = pair(6)
    apart = np.random.default_rng(1).permutation(values)
    narrow, wide = (ks_interval(v, reference, draws(400)) for v in (values, apart))
    assert narrow.high - narrow.low < 0.8 * (wide.high - wide.low)


def test_a_kind_against_itself_is_certain() -> None:
    values = np.random.default_rng(4).normal(size=50)
    assert ks_interval(values, values, draws(50)) == (0, 0)
    assert ks_sum([Weighted(values, values, 1.0)]).interval() == (0, 0)


def test_what_does_not_overlap_is_at_one() -> None:
    values = np.arange(60.0)
    low, high = ks_interval(values, values + 100, draws(60))
    assert low > 0.8
    assert high == 1


def test_the_same_draws_each_time_and_at_any_scale() -> None:
    values, reference = pair(3)
    drawn = draws(400, 200)
    once = ks_interval(values, reference, drawn)
    assert ks_interval(values, reference, drawn) == once
    assert ks_interval(values / 7 - 3, reference / 7 - 3, drawn) == pytest.approx(once)


def test_many_different_values_are_looked_at_in_few_places() -> None:
    rng = np.random.default_rng(8)
    reference = rng.normal(size=800)
    values = reference + rng.normal(0.5, 0.5, size=800)
    fine = ks_interval(values, reference, draws(800))
    coarse = ks_interval(values.round(1), reference.round(1), draws(800))
    assert fine == pytest.approx(coarse, abs=0.03)


def test_undefined_samples_are_left_out() -> None:
    values, reference = pair(6)
    holes = np.full(300, np.nan)
    more = [np.concatenate([array, holes]) for array in (values, reference)]
    drawn = draws(400, 4000)
    assert ks_interval(*more, drawn) == pytest.approx(
        ks_interval(values, reference, drawn), abs=0.005
    )
    gap, longer = (ks_sum([Weighted(*pair, 1.0)]) for pair in ((values, reference), more))
    assert longer.number == gap.number
    assert longer.errors == pytest.approx(gap.errors, rel=1e-3)


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0, np.nan], [3.0]])
def test_too_few_samples(values: list[float]) -> None:
    drawn = draws(len(values), 50)
    assert np.isnan(ks_interval(values, values, drawn)).all()
    assert np.isnan(ks_sum([Weighted(values, values, 1.0)]).interval()).all()
    assert np.isnan(ks_within(values, values, 0.1, drawn)).all()


@pytest.mark.parametrize(("shift", "sign"), [(0.0, 1), (8.0, -1)])
def test_within_a_margin_and_beyond(shift: float, sign: int) -> None:
    values, reference = pair(shift)
    found = ks_within(values, reference, 0.1, draws(400))
    assert found.low < found.number < found.high
    assert (found.low > 0, found.high < 0) == (sign > 0, sign < 0)
    assert found.p < 0.05


def test_just_at_the_margin_nothing_is_decided() -> None:
    values, reference = pair(4)
    found = ks_within(values, reference, ks_statistic(values, reference), draws(400))
    assert found.low < 0 < found.high
    assert found.p > 0.05
