import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steppe.comparisons import (
    Resamples,
    as_ranked,
    censored_median,
    censored_median_interval,
    earlier_share,
    earlier_within,
    ranked_median,
    roc_curve,
)

CROSSINGS = st.lists(
    st.one_of(st.integers(0, 20).map(float), st.just(float("inf")), st.just(float("nan"))),
    min_size=1,
    max_size=30,
)


def test_censored_is_later_than_any_and_undefined_is_neither():
    ranked = as_ranked([3.0, np.nan, np.nan], [False, True, False])
    np.testing.assert_array_equal(ranked, [3.0, np.inf, np.nan])


def test_a_median_is_known_while_fewer_than_half_are_censored():
    assert censored_median([1, 2, 3, np.inf, np.inf]) == 3
    assert np.isnan(censored_median([1, np.inf, np.inf]))
    assert np.isnan(censored_median([np.nan]))
    assert censored_median([1, 2, np.nan]) == 2


@given(values=CROSSINGS)
def test_the_median_is_the_later_of_two_middle_ones(values):
    defined = np.array([value for value in values if not np.isnan(value)])
    expected = np.quantile(defined, 0.5, method="higher") if len(defined) else np.nan
    np.testing.assert_array_equal(ranked_median(values), expected)


def test_an_interval_holds_the_median_and_ends_where_the_path_does():
    drawn = Resamples.draw(40, 400, np.random.default_rng(0))
    values = np.arange(40.0)
    low, high = censored_median_interval(values, drawn)
    assert low < 20 < high
    # A median just within the path: its upper end is beyond.
    values[21:] = np.inf
    low, high = censored_median_interval(values, drawn)
    assert low < 20
    assert np.isnan(high)
    assert np.isnan(censored_median_interval(np.full(40, np.nan), drawn)).all()
    # Most resamples have nothing that is defined: they say nothing of where it is.
    values[1:] = np.nan
    assert censored_median_interval(values, drawn) == (0.0, 0.0)


@settings(max_examples=100, deadline=None)
@given(first=CROSSINGS, second=CROSSINGS)
def test_the_share_of_pairs_is_that_of_all_pairs(first, second):
    one = [x for x in first if x == x]
    other = [x for x in second if x == x]
    found = earlier_share(first, second)
    if not one or not other:
        assert np.isnan(found)
        return
    wins = [(a < b) + (a == b) / 2 for a in one for b in other]
    assert found == pytest.approx(np.mean(wins))
    assert found + earlier_share(second, first) == pytest.approx(1)
    false, true = roc_curve(first, second)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(found)


def test_pairs_of_one_sample():
    first = [[1.0, np.inf], [np.nan, 3.0]]
    second = [[2.0, np.inf], [1.0, 2.0]]
    assert np.nanmean(earlier_within(first, second)) == pytest.approx(1.5 / 3)
    assert np.isnan(earlier_within([np.nan], [1.0])).all()
