"""The difference of two distribution functions, where it is looked at, and its noise."""

from __future__ import annotations

import numpy as np

from steppe.comparisons import Resamples, ks_statistic
from steppe.comparisons.differences import Difference, noise


def samples(n: int, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    first = rng.normal(size=n)
    return first, first + rng.normal(shift, 0.5, size=n)


def test_its_largest_value_is_the_ks_statistic() -> None:
    first, second = samples(200)
    assert Difference.of(first, second).statistic == ks_statistic(first, second)


def test_few_values_are_all_looked_at_and_many_at_quantiles() -> None:
    first, second = samples(2000)
    whole = Difference.of(first.round(1), second.round(1))
    assert len(whole.places) == len(whole.values)
    assert whole.largest == whole.statistic
    fine = Difference.of(first, second)
    assert len(fine.places) < len(fine.values) / 10
    assert 0.98 * fine.statistic < fine.largest <= fine.statistic


def test_the_shape_keeps_its_sides() -> None:
    first, second = samples(500)
    assert Difference.of(first, second).shape.min() == -1
    assert Difference.of(second, first).shape.max() == 1
    assert (Difference.of(first, first).shape == 1).all()


def test_noise_is_as_wide_as_the_difference_varies_and_drawn_together() -> None:
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 4, size=(600, 400))
    kinds = [reference + rng.integers(0, 2, size=reference.shape) for _ in range(2)]
    found = np.array(
        [[Difference.of(*both).values[1] for both in zip(reference, k, strict=True)] for k in kinds]
    )
    drawn = noise([Difference.of(reference[0], kind[0]) for kind in kinds], Resamples(400, 5000, 0))
    seen = np.array([each[:, 1] for each in drawn])
    np.testing.assert_allclose(np.cov(seen), np.cov(found), rtol=0.3)


def test_what_is_missing_is_no_sample() -> None:
    first, second = samples(40)
    first[:3] = np.nan
    difference = Difference.of(first, second)
    assert difference.samples == 37
    np.testing.assert_allclose(difference.influences.sum(axis=0), 0, atol=1e-9)
