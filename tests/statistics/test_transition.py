from __future__ import annotations

import numpy as np
import pytest

from steppe.statistics import transition_width


@pytest.mark.parametrize("points", [2, 7, 50])
def test_a_straight_line_has_a_width_of_four_fifths(points: int) -> None:
    assert transition_width(np.linspace(0, 1, points)) == pytest.approx(0.8)


def test_a_jump_takes_a_part_of_its_step() -> None:
    assert transition_width([0, 0, 0, 1, 1]) == pytest.approx(0.8 / 4)


def test_exchanging_the_ends_changes_nothing() -> None:
    inner = np.random.default_rng(0).uniform(0, 1, (40, 9))
    curves = np.concatenate([np.zeros((40, 1)), inner, np.ones((40, 1))], axis=1)
    widths = transition_width(curves)
    np.testing.assert_allclose(transition_width(1 - curves[:, ::-1]), widths, atol=1e-12)
    assert widths.std() > 0.01


def test_curves_that_do_not_go_over_have_none() -> None:
    curves = [[0, np.nan, 1], [0.2, 0.5, 1], [0, 0.5, 0.8]]
    assert np.isnan(transition_width(curves)).all()
    assert np.isnan(transition_width([[0.0]])).all()
