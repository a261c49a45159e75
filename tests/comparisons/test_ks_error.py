"""The error of KS statistics: paired, seeded, bounded near zero, and undefined where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from steppe.comparisons import (
    KsTest,
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


def test_equal_samples_leave_room_for_samples_that_differ() -> None:
    values = np.random.default_rng(4).normal(size=50)
    # With a distance of d a pair differs with a chance of d or more, and 50 of 50 are equal.
    low, high = ks_interval(values, values, draws(50))
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 50), abs=0.001)
    assert ks_sum([Weighted(values, values)], draws(50))[:3] == (0, 0, 0)


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
    gap, longer = (
        ks_sum([Weighted(*both), Weighted(both[1] + 2, both[1], -1)], drawn)
        for both in ((values, reference), more)
    )
    assert longer.number == gap.number
    assert longer == pytest.approx(gap, abs=0.01)


@pytest.mark.parametrize("values", [[np.nan, np.nan], [1.0, np.nan], [3.0]])
def test_too_few_samples(values: list[float]) -> None:
    drawn = draws(len(values), 50)
    assert np.isnan(ks_interval(values, values, drawn)).all()
    assert np.isnan(ks_sum([Weighted(values, values)], drawn)).all()
    assert np.isnan(ks_within(values, values, 0.1, drawn)).all()


@pytest.mark.parametrize(("shift", "sign"), [(0.0, 1), (8.0, -1)])
def test_within_a_margin_and_beyond(shift: float, sign: int) -> None:
    values, reference = pair(shift)
    found = ks_within(values, reference, 0.1, draws(400))
    assert found.low < found.number < found.high
    assert (found.low > 0, found.high < 0) == (sign > 0, sign < 0)
    assert found.p < 0.05


@pytest.mark.parametrize(("moved", "n", "holds"), [(0, 30, 0), (0, 40, 1), (1, 50, 0), (1, 60, 1)])
def test_a_margin_is_not_kept_by_few_pairs_that_happen_to_be_equal(
    moved: int, n: int, holds: int
) -> None:
    reference = np.zeros(n)
    values = (np.arange(n) < moved).astype(float)
    found = ks_within(values, reference, 0.1, draws(n))
    # As few pairs differ by chance, were one in ten to differ.
    assert found.p >= 2 * binom.cdf(moved, n, 0.1) - 1e-9
    assert (found.low > 0) == holds


def test_just_at_the_margin_nothing_is_decided() -> None:
    values, reference = pair(4)
    found = ks_within(values, reference, ks_statistic(values, reference), draws(400))
    assert found.low < 0 < found.high
    assert found.p > 0.05


def three(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    near, reference = pair(2, n)
    return reference + np.random.default_rng(5).normal(9, 4, size=n).round(), near, reference


def gap(
    one: np.ndarray, other: np.ndarray, reference: np.ndarray, drawn: Resamples | None = None
) -> KsTest:
    terms = [Weighted(one, reference), Weighted(other, reference, -1)]
    return ks_sum(terms, drawn or draws(len(one)))


def test_the_farther_of_two_is_told_and_the_other_way_round() -> None:
    far, near, reference = three()
    found, back = gap(far, near, reference), gap(near, far, reference)
    assert found.number == pytest.approx(
        ks_statistic(far, reference) - ks_statistic(near, reference)
    )
    assert 0 < found.low < found.number < found.high
    assert found.p == pytest.approx(2 / 1001)
    assert back.number == -found.number
    assert back[1:3] == pytest.approx((-found.high, -found.low), abs=0.02)


@pytest.mark.parametrize("seed", range(12))
def test_the_p_value_and_the_interval_say_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, one, other = rng.normal([[0], [0.4], [0.1]], size=(3, 120))
    drawn = draws(120, 400, seed)
    found = gap(one, other, reference, drawn)
    assert (found.low > 0 or found.high < 0) == (found.p < 0.05)
    assert found.low <= found.number <= found.high
    within = ks_within(one, reference, 0.15, drawn)
    assert (within.low > 0 or within.high < 0) == (within.p < 0.05)


def test_alike_kinds_far_from_the_reference_are_not_told_apart() -> None:
    far, _, reference = three()
    same = far + np.random.default_rng(6).integers(-1, 2, size=len(far))
    assert gap(far, same, reference).low < 0 < gap(far, same, reference).high
    assert gap(far, far, reference).p == 1


def test_so_few_samples_as_give_no_evidence_decide_nothing() -> None:
    far, near, reference = np.arange(5.0) + 100, np.arange(5.0) + 0.1, np.arange(5.0)
    assert gap(far, near, reference)[1:] == pytest.approx((-1, 1, 2 * 0.5**5), abs=0.001)
    assert ks_interval(far, reference, draws(5)) == (0, 1)


def test_weights_count() -> None:
    far, near, reference = three()
    once, twice = (
        ks_sum([Weighted(far, reference, w), Weighted(near, reference, -w)], draws(300))
        for w in (1, 2)
    )
    assert twice[:3] == pytest.approx(2 * np.array(once[:3]), abs=0.002)
