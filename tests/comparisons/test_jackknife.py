"""Standard errors by leaving out samples, and statements of several numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from steppe.comparisons import Parts, Sampled, earlier_share, jackknife

GENERATOR = np.random.default_rng(0)


def mean_of(values):
    return values.mean(values["x"])


def drawn(samples, draws, undefined=0.1, never=0.1):
    """Crossings with ties, some never and some undefined."""
    made = GENERATOR.integers(1, 9, size=(samples, draws)).astype(float)
    made[GENERATOR.random(made.shape) < never] = np.inf
    made[GENERATOR.random(made.shape) < undefined] = np.nan
    return made


def left_out(number, values):
    """What a number is without each sample, one after the other."""
    count = len(next(iter(values.values())))
    return [
        number(Sampled({name: np.delete(array, i, axis=0) for name, array in values.items()}))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    "number",
    [
        lambda v: v.mean(v["first"]),
        lambda v: v.means(np.nan_to_num(v["second"], posinf=9.0)),
        lambda v: v.earlier(v["first"], v["second"]),
        lambda v: v.earlier(v["first"][:, 0], v["second"]),
    ],
)
def test_numbers_without_each_sample_are_those_of_the_others(number) -> None:
    values = {"first": drawn(20, 3, never=0.0), "second": drawn(20, 2)}
    np.testing.assert_allclose(number(Sampled(values, without_each=True)), left_out(number, values))


def test_an_area_is_the_share_of_pairs() -> None:
    first, second = drawn(30, 3), drawn(30, 2)
    found = Sampled({"first": first}).earlier(first, second)
    assert found == pytest.approx(earlier_share(first, second))
    assert np.isnan(Sampled({"first": first}).earlier(first * np.nan, second))


def parts(numbers, errors, samples=40):
    return Parts(np.array(numbers, dtype=float), np.array(errors, dtype=float), samples)


def test_a_mean_is_tested_as_by_students_t() -> None:
    sample = GENERATOR.normal(0.4, 1, size=30)
    found = jackknife(mean_of, {"x": sample})
    told = stats.ttest_1samp(sample, 0)
    assert found.p_value() == pytest.approx(told.pvalue)
    assert found.interval() == pytest.approx(tuple(told.confidence_interval()))


def test_samples_without_a_value_are_not_counted() -> None:
    sample = np.array([1.0, 2, 4, 5, 9, 3, 1])
    padded = np.concatenate([sample, [np.nan] * 20])
    assert (
        jackknife(mean_of, {"x": padded}).interval() == jackknife(mean_of, {"x": sample}).interval()
    )


@pytest.mark.parametrize(("samples", "decided"), [(5, False), (6, True)])
def test_few_samples_that_all_agree_are_no_more_than_so_many_equal_signs(
    samples: int, decided: bool
) -> None:
    found = jackknife(mean_of, {"x": np.ones(samples)})
    assert (found.interval().low > 0) == decided
    assert found.p_value() == 2 * 0.5**samples


@pytest.mark.parametrize(
    ("numbers", "number", "shown"),
    [
        ([[3.0]], 3.0, True),
        ([[1.0]], 1.0, None),
        ([[3.0], [2.2]], 2.2, True),
        ([[3.0], [1.0]], 1.0, None),
        ([[3.0], [-3.0]], -3.0, False),
        ([[3.0, -9.0]], 3.0, True),
        ([[2.2, -9.0]], 2.2, None),
        ([[-3.0, -2.2]], -2.2, False),
        ([[3.0, -3.0], [-3.0, 3.0]], 3.0, True),
        ([[3.0, 3.0], [-3.0, -3.0]], -3.0, False),
    ],
)
def test_all_rows_need_some_positive_number(numbers, number, shown) -> None:
    found = parts(numbers, np.ones_like(numbers))
    low, high = found.interval()
    assert found.number == number
    assert (low > 0, high < 0) == (shown is True, shown is False)


def test_the_p_value_is_that_of_the_interval() -> None:
    for _ in range(300):
        shape = GENERATOR.integers(1, 4, size=2)
        found = parts(GENERATOR.normal(0, 2.5, size=shape), GENERATOR.uniform(0.5, 1.5, size=shape))
        low, high = found.interval()
        assert (found.p_value() < 0.05) == (low > 0 or high < 0)
    edges = [parts([[x]], [[1.0]]).p_value() for x in (0, 1, 2, 3)]
    assert all(earlier > later for earlier, later in pairwise(edges))


def test_the_undefined_is_undefined() -> None:
    assert np.isnan(jackknife(mean_of, {"x": np.array([1.0])}).p_value())
    assert np.isnan(jackknife(mean_of, {"x": np.array([np.nan])}).number)
    found = jackknife(lambda v: v.mean(v["x"]) * np.nan, {"x": np.ones(9)})
    assert np.isnan([*found.interval(), found.p_value()]).all()
