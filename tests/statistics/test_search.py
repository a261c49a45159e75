from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from steppe.statistics import crossing_step, find_crossings

LEVEL = 0.5


def search(curves: NDArray[np.float64], level: float = LEVEL):
    """Search in known curves, and count what was looked at."""
    seen: list[tuple[int, int]] = []

    def evaluate(curve, step):
        seen.extend(zip(curve.tolist(), step.tolist(), strict=True))
        return curves[curve, step]

    return find_crossings(evaluate, *curves.shape, level), seen


def test_the_crossing_of_a_known_curve():
    steps = np.arange(101)
    found, _ = search(np.stack([steps / 100, (steps / 100) ** 2, 1 - np.cos(steps * np.pi / 100)]))
    # The parabola is linear between 70 (0.49) and 71 (0.5041); 60 degrees is step 33.3.
    np.testing.assert_allclose(found.step[:2], [50.0, 70 + 0.01 / 0.0141])
    assert found.step[2] == pytest.approx(100 / 3, abs=0.01)
    assert not found.scanned.any()
    assert not found.censored.any()


@settings(max_examples=200, deadline=None)
@given(
    rises=st.lists(st.floats(0, 1), min_size=1, max_size=120),
    level=st.floats(1e-3, 2.0),
)
def test_bisection_and_scan_agree_on_rising_curves(rises, level):
    curve = np.concatenate([[0.0], np.cumsum(rises) * 3 / len(rises)])[None]
    found, seen = search(curve, level)
    np.testing.assert_allclose(found.step, crossing_step(curve, level), rtol=1e-12)
    assert not found.scanned.any()
    assert found.censored[0] == np.isnan(found.step[0]) == (curve.max() < level)
    assert found.evaluations[0] == len(seen) == len(set(seen))


@settings(max_examples=200, deadline=None)
@given(curve=st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_a_fall_that_is_seen_leads_to_a_scan(curve):
    curves = np.array([[0.0, *curve]])
    found, seen = search(curves)
    scan = crossing_step(curves, LEVEL)
    if found.scanned[0]:
        np.testing.assert_array_equal(found.step, scan)
        assert {step for _, step in seen} == set(range(1, curves.shape[1]))
    elif not np.isnan(found.step[0]):
        # Whatever is not seen: it is a crossing, and none of the points looked at is an earlier.
        looked = sorted({step for _, step in seen} | {0})
        before = [step for step in looked if step < found.step[0]]
        assert all(curves[0, step] < LEVEL for step in before)


def test_a_bump_before_the_crossing_is_scanned():
    steps = np.arange(101)
    bump = np.where((steps >= 20) & (steps < 30), 0.4, 0.0) + np.where(steps >= 80, 1.0, 0.0)
    bump[27] = 0.7
    found, _ = search(bump[None])
    assert found.scanned[0]
    assert found.step[0] == pytest.approx(26 + 0.1 / 0.3)


def test_a_value_outside_of_its_bracket_is_noticed():
    curve = np.linspace(0, 1, 9)
    curve[5] = 0.2  # between the probes 4 (0.5) and 8 (1.0), met by halving
    found, _ = find_with_probes(curve, 2)
    assert found.scanned[0]


def find_with_probes(curve, probes):
    seen = []

    def evaluate(c, step):
        seen.append(step)
        return curve[step]

    return find_crossings(evaluate, 1, len(curve), 0.55, probes=probes), seen


def test_a_curve_that_never_crosses_is_censored_and_not_the_last_step():
    found, _ = search(np.stack([np.linspace(0, 0.4, 101), np.linspace(0, 1, 101)]))
    assert found.censored.tolist() == [True, False]
    assert np.isnan(found.step[0])
    assert found.evaluations[0] == 8


def test_an_undefined_curve_is_neither_crossing_nor_censored():
    found, _ = search(np.full((1, 101), np.nan))
    assert np.isnan(found.step[0])
    assert not found.censored[0]
    assert not found.scanned[0]
    assert found.evaluations[0] == 0


@pytest.mark.parametrize("gap", [50, 97])
def test_of_a_curve_with_a_gap_neither_crossing_nor_its_absence_is_known(gap):
    # 50 is a probe; 97 is met by halving alone.
    curve = np.linspace(0, 1, 101) ** 20
    curve[gap] = np.nan
    found, _ = search(np.stack([curve, np.linspace(0, 0.4, 101)]))
    assert found.scanned.tolist() == [True, False]
    assert np.isnan(found.step[0])
    assert found.censored.tolist() == [False, True]


def test_bisection_saves_most_of_the_points():
    found, _ = search(np.linspace(0, 1, 101)[None] ** np.linspace(1, 4, 20)[:, None])
    assert found.evaluations.max() <= 12


def test_no_curves_are_fine():
    found, _ = search(np.empty((0, 101)))
    assert len(found.step) == 0
