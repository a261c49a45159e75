"""Which points are computed, by value and by property; what a first grid cannot see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steppe.statistics import area_step, max_slope_step, nonlinearity_step, plateau_step
from steppe.statistics.refinement import (
    Refined,
    around,
    first_grid,
    interpolated,
    marked,
    refine,
)

Curves = NDArray[np.float32]
N_STEPS = 101
STEPS = np.arange(N_STEPS)


def sigmoids(places: Any, widths: Any) -> Curves:
    """One curve per place and width, from about 0 to about 1."""
    away = (STEPS - np.asarray(places)[:, None]) / np.asarray(widths)[:, None]
    return (1 / (1 + np.exp(-away))).astype(np.float32)


def refined(
    curves: Curves, *statistics: Callable[[Curves], NDArray[np.float64]]
) -> tuple[Refined, int]:
    """The curves at adaptive points, and how many rounds that took."""
    rounds = []

    def evaluate(wanted: NDArray[np.bool_]) -> Mapping[str, Curves]:
        rounds.append(wanted)
        return {"x": np.where(wanted, curves, np.nan)}

    def read_off(found: Mapping[str, Any]) -> Mapping[str, NDArray[np.bool_]]:
        near = [
            around(marked(statistic(found["x"]), curves.shape[1]), (-2, 1))
            for statistic in statistics
        ]
        return {"x": np.logical_or.reduce(near)} if near else {}

    found = refine(evaluate, read_off, ["x"], curves.shape)["x"]
    assert np.sum(rounds, axis=0).max() == 1, "no point is computed twice"
    return found, len(rounds)


def test_the_first_grid_has_both_ends_and_the_first_slope() -> None:
    assert np.flatnonzero(first_grid(13)).tolist() == [0, 1, 5, 10, 12]
    assert first_grid(2).tolist() == [True, True]
    assert first_grid(1).tolist() == [True]


def test_a_step_rests_on_the_rises_around_it() -> None:
    marks = marked(np.array([4.0, 0.0, 10.0, 6.5, np.nan, 100.0]), 11)
    assert [np.flatnonzero(row).tolist() for row in marks] == [[4], [0], [10], [7], [], []]
    near = [np.flatnonzero(row).tolist() for row in around(marks, (-2, 1))]
    assert near == [[2, 3, 4, 5], [0, 1], [8, 9, 10], [5, 6, 7, 8], [], []]
    assert np.flatnonzero(around(marks[0], (-1, 0))).tolist() == [3, 4]


def test_a_cubic_is_exact_from_the_first_grid() -> None:
    x = STEPS / 100
    curves = np.stack([x**3 - x**2 + 2 * x, 1 - x**3, np.zeros(N_STEPS)]).astype(np.float32)
    found, rounds = refined(curves)
    assert rounds == 1
    assert (found.computed == first_grid(N_STEPS)).all()
    np.testing.assert_allclose(found.values, curves, rtol=0, atol=2e-7)


@pytest.mark.parametrize("reading", ["code", "text"])
def test_steps_are_those_of_all_points(reading: str) -> None:
    random = np.random.default_rng(0)
    curves = sigmoids(random.uniform(20, 80, 200), random.uniform(3, 12, 200))
    statistics = (
        lambda rows: max_slope_step(rows, reading, min_slope=0.0),
        lambda rows: area_step(rows, reading),
        lambda rows: nonlinearity_step(rows, reading),
        lambda rows: plateau_step(rows, 0.3, reading),
    )
    found, _ = refined(curves, *statistics)
    assert found.computed.sum(axis=1).mean() < 0.45 * N_STEPS
    for statistic in statistics:
        exact, ours = statistic(curves), statistic(found.values)
        assert (np.isnan(exact) == np.isnan(ours)).all()
        assert np.nanmax(np.abs(exact - ours)) <= 1
    assert (statistics[0](curves) == statistics[0](found.values)).mean() > 0.99
    assert np.array_equal(found.values[found.computed], curves[found.computed])


def test_points_lie_where_the_curve_turns() -> None:
    found, _ = refined(sigmoids([37.0], [1.5]))
    gaps = np.diff(np.flatnonzero(found.computed[0]))
    assert gaps[0] == 1
    assert found.computed[0, 34:41].sum() > 4
    assert found.computed[0, 60:].sum() == 9


def test_what_lies_between_two_points_of_the_first_grid_is_not_seen() -> None:
    curves = np.linspace(0, 1, N_STEPS, dtype=np.float32)[None].copy()
    curves[0, 43] += 5
    found, _ = refined(curves, max_slope_step)
    assert not found.computed[0, 43]
    assert max_slope_step(curves) == 43
    assert max_slope_step(found.values) != 43


def test_a_curve_that_is_not_resolved_is_computed_whole() -> None:
    curves = np.random.default_rng(0).normal(size=(3, N_STEPS)).astype(np.float32)
    found, _ = refined(np.concatenate([curves, sigmoids([50.0], [9.0])]))
    assert found.computed[:3].all()
    assert not found.computed[3].all()
    assert np.array_equal(found.values[:3], curves)


def test_an_undefined_curve_stays_undefined_and_one_with_a_gap_is_computed_whole() -> None:
    curves = sigmoids([50.0, 50.0], [9.0, 9.0])
    curves[0], curves[1, 10] = np.nan, np.nan
    found, _ = refined(curves, max_slope_step)
    assert np.isnan(found.values[0]).all()
    assert (found.computed[0] == first_grid(N_STEPS)).all()
    assert np.array_equal(found.values[1], curves[1], equal_nan=True)
    assert found.computed[1].all()


def test_a_curve_does_not_depend_on_the_others() -> None:
    random = np.random.default_rng(1)
    curves = sigmoids(random.uniform(20, 80, 20), random.uniform(2, 12, 20))
    together, _ = refined(curves, max_slope_step)
    for i in range(0, 20, 7):
        alone, _ = refined(curves[i : i + 1], max_slope_step)
        assert np.array_equal(alone.computed[0], together.computed[i])
        assert np.array_equal(alone.values[0], together.values[i])


def test_a_metric_takes_its_own_points_alone() -> None:
    curves = {"smooth": sigmoids([50.0], [15.0]), "sharp": sigmoids([33.0], [1.0])}
    both = refine(lambda _: curves, lambda _: {}, list(curves), (1, N_STEPS))
    for name, own in curves.items():
        alone, _ = refined(own)
        assert np.array_equal(both[name].computed, alone.computed)
        assert np.array_equal(both[name].values, alone.values)
    assert both["sharp"].computed.sum() > both["smooth"].computed.sum()


def test_a_short_curve_has_a_spline_too() -> None:
    curves = np.array([[0.0, 1.0, 4.0, 9.0]], np.float32)
    computed = np.array([[True, True, False, True]])
    assert interpolated(curves, computed).tolist() == [[0, 1, 4, 9]]
    assert np.isnan(interpolated(curves, np.array([[True, False, False, False]]))[0, 1:]).all()
