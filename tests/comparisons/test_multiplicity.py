"""Holm's correction against its definition, on a known example and by simulation."""

from __future__ import annotations

import numpy as np

from steppe.comparisons import holm


def test_a_worked_example() -> None:
    corrected = holm([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(corrected, [0.03, np.nan, 0.06, 0.06, 0.02])


def test_the_chance_of_any_false_rejection_is_five_percent() -> None:
    p_values = np.random.default_rng(0).uniform(size=(4000, 20))
    wrong = np.mean([(holm(row) < 0.05).any() for row in p_values])
    assert 0.035 < wrong < 0.06


def test_nothing_tested() -> None:
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan])).all()
