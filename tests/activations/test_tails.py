"""Norms of activations, with answers that can be told by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steppe.activations.tails import ordinary, tails
from steppe.core.errors import InputError


def test_equal_activations_all_carry_their_variance() -> None:
    found = tails(np.concatenate([np.eye(6), -np.eye(6)]))
    assert (found.count, found.outliers, found.outliers_share_of_variance) == (12, 0, 0.0)
    assert found.carriers == pytest.approx(12)
    assert found.median_norm == found.percentile_99 == found.mean_norm == 1.0


def test_a_few_massive_ones_carry_it_alone() -> None:
    # 98 of norm 1 on one axis, two of norm 100 on another; their mean is zero.
    rows = np.zeros((100, 3))
    rows[:98, 0] = np.tile([1.0, -1.0], 49)
    rows[98:, 1] = (100.0, -100.0)
    found = tails(rows)
    assert found.outliers == 2
    assert found.outliers_share_of_variance == pytest.approx(20_000 / 20_098)
    assert found.carriers == pytest.approx(20_098**2 / (98 + 2 * 10_000**2))
    assert found.mean_norm == pytest.approx(298 / 100)
    assert found.mean_norm_of_ordinary == found.median_norm == 1.0
    np.testing.assert_array_equal(ordinary(rows).numpy(), rows[:98])


def test_a_large_mean_is_no_variance() -> None:
    # About zero all four are as good as equal; about their mean two carry everything.
    far = np.full(4, 1000.0)
    assert tails(np.stack([far, [0.0, 0.0, 3.0, -3.0]], axis=1)).carriers == pytest.approx(2)


def test_no_variance_has_no_shares() -> None:
    found = tails(np.ones((4, 3)))
    assert math.isnan(found.carriers)
    assert math.isnan(found.outliers_share_of_variance)


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.full((2, 3), np.nan)])
def test_what_cannot_be_described_is_refused(rows: np.ndarray) -> None:
    with pytest.raises(InputError, match="activations"):
        tails(rows)
