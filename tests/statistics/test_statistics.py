"""Step statistics on curves whose answer is known, at their edges, and by their properties."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from steppe.core.errors import InputError
from steppe.statistics import (
    area_step,
    crossing_step,
    is_censored,
    max_slope_step,
    nonlinearity_step,
    plateau_step,
)
from steppe.statistics.max_slope import nearly_steepest

PLATEAU = partial(plateau_step, threshold=20.0)
ALL = (max_slope_step, area_step, nonlinearity_step, PLATEAU)
Function = Callable[..., NDArray[np.float64]]


def jump(at: int, height: float = 50.0, points: int = 100) -> NDArray[np.float64]:
    return np.where(np.arange(points) >= at, height, 0.0)


@pytest.mark.parametrize("slope", [1.0, 0.3, 1 / 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_straight_line(slope: float, dtype: type[np.floating]) -> None:
    line = (slope * np.arange(101)).astype(dtype)
    assert max_slope_step(line, "text") == 1
    assert area_step(line, "text") == 1
    assert np.isnan(nonlinearity_step(line, "text"))
    assert area_step(line, "code") == 5
    assert nonlinearity_step(line, "code") == 101


@pytest.mark.parametrize("at", [1, 5, 40, 98, 99])
@pytest.mark.parametrize("reading", ["code", "text"])
def test_ideal_step(at: int, reading: str) -> None:
    curve = jump(at)
    assert plateau_step(curve, 20.0, reading) == at
    if at > 1 or reading == "text":
        assert max_slope_step(curve, reading) == at
    if reading == "text":
        assert area_step(curve, reading) == at
        if at > 1:
            assert nonlinearity_step(curve, reading) == at


def test_first_slope_is_counted_twice_in_the_code_reading() -> None:
    assert float(max_slope_step(jump(1), "code")) in {0, 1}


def test_area_code_skips_the_first_steps_and_the_last() -> None:
    assert area_step(jump(40), "code") == 40
    assert area_step(jump(99), "code") == 5  # seen by nobody: every ratio considered is 0
    assert area_step(np.zeros(100), "code") == 5


def test_nonlinearity_code_is_the_step_before_the_value_leaves_the_line() -> None:
    curve = np.arange(100.0)
    curve[30:] *= 1.3
    assert nonlinearity_step(curve, "code") == 29


def test_nonlinearity_code_on_lines_at_and_below_zero() -> None:
    assert nonlinearity_step(jump(50), "code") == 49
    assert nonlinearity_step(-(np.arange(100.0) ** 2), "code") == 100


def test_nonlinearity_text_measures_against_the_first_interval() -> None:
    curve = np.cumsum([0, 1.0, 1.05, 0.95, 1.11, 5])
    assert nonlinearity_step(curve, "text") == 4


def test_what_never_happens() -> None:
    flat = np.zeros(100)
    assert [f(flat, "text") for f in ALL[:3]] == pytest.approx([np.nan] * 3, nan_ok=True)
    assert np.isnan(plateau_step(flat, 20.0, "text"))
    assert max_slope_step(flat, "code") == 99
    assert max_slope_step(flat, "code", end=30) == 99
    assert nonlinearity_step(flat, "code") == 100
    assert plateau_step(flat, 20.0, "code") == 100
    assert plateau_step(jump(40), 20.0, "code", end=40) == 100
    assert np.isnan(plateau_step(jump(40), 20.0, "text", end=40))


def test_the_default_is_the_exact_definition_in_no_models_units() -> None:
    flat, slow = np.zeros(100), 1e-4 * jump(40, height=1.0)
    for function in ALL:
        assert np.isnan(function(flat)), "a number where there is no step"
    assert max_slope_step(slow) == 40
    with pytest.raises(TypeError, match="threshold"):
        plateau_step(flat)  # type: ignore[call-arg]


def test_sentinels_stay_outside_longer_curves() -> None:
    assert max_slope_step(np.zeros(201), "code") == 200
    assert plateau_step(np.zeros(201), 20.0, "code") == 201


def test_min_slope() -> None:
    slow = 0.01 * jump(40, height=1.0)
    assert max_slope_step(slow, "code") == 99
    assert max_slope_step(slow, "text") == 40
    assert np.isnan(max_slope_step(slow, "text", min_slope=0.02))
    assert max_slope_step(slow, "code", min_slope=0.001) == 40


def test_rounding_noise_on_a_constant_is_no_rise() -> None:
    noisy = np.float32(200) + np.float32(1e-5) * np.arange(100, dtype=np.float32) % 3
    assert np.isnan(max_slope_step(noisy, "text"))


@pytest.mark.parametrize("reading", ["code", "text"])
def test_end_cuts_each_curve(reading: str) -> None:
    curves = np.stack([jump(10) + jump(60, 100.0)] * 3).reshape(1, 3, 100)
    steps = max_slope_step(curves, reading, end=np.array([100, 50, 61]))
    np.testing.assert_array_equal(steps, [[60, 10, 60]])


@pytest.mark.parametrize("reading", ["code", "text"])
def test_too_short_curves_are_undefined(reading: str) -> None:
    assert np.isnan(max_slope_step(jump(10), reading, end=1))
    assert np.isnan(max_slope_step(jump(10), reading, end=0))
    for function in ALL[:3]:
        assert np.isnan(function(np.array([0.0]), reading))


@pytest.mark.parametrize("function", ALL)
def test_nan_inside_a_curve_is_undefined_in_the_text_reading(function: Function) -> None:
    curve = jump(40)
    curve[60] = np.nan
    assert np.isnan(function(curve, reading="text"))


def test_nan_inside_a_curve_in_the_code_reading() -> None:
    curve = jump(40)
    curve[60] = np.nan
    assert max_slope_step(curve, "code") == 40
    assert plateau_step(curve, 20.0, "code") == 40
    assert nonlinearity_step(curve, "code") == 39
    assert np.isnan(area_step(curve, "code"))


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("reading", ["code", "text"])
def test_a_curve_of_nan_is_undefined(function: Function, reading: str) -> None:
    steps = function(np.stack([np.full(100, np.nan), jump(40)]), reading=reading)
    assert np.isnan(steps).tolist() == [True, False]


@pytest.mark.parametrize("function", [max_slope_step, PLATEAU])
def test_nan_beyond_the_end_does_not_matter(function: Function) -> None:
    curve = jump(40)
    curve[60:] = np.nan
    assert function(curve, reading="text", end=60) == 40


def test_crossing_is_linear_between_points() -> None:
    assert crossing_step([0.0, 1.0, 3.0], 2.0) == 1.5
    assert crossing_step([2.0, 0.0], 1.0) == 0
    assert np.isnan(crossing_step([0.0, 1.0], 2.0))
    assert np.isnan(crossing_step([0.0, 1.0, 3.0], 2.0, end=2))


def test_censored_curves_are_flagged() -> None:
    curves = np.stack([jump(40), np.zeros(100), np.full(100, np.nan)])
    assert is_censored(curves, 20.0).tolist() == [False, True, False]
    assert is_censored(curves, 20.0, end=40).tolist() == [True, True, False]


@pytest.mark.parametrize("function", ALL)
def test_shapes_and_types(function: Function) -> None:
    values = np.tile(jump(40), (2, 3, 1)).astype(np.float32)
    before = values.copy()
    steps = function(values)
    assert steps.shape == (2, 3)
    assert steps.dtype == np.float64
    np.testing.assert_array_equal(values, before)
    assert function(np.arange(100)).shape == ()
    assert function(np.empty((0, 100))).shape == (0,)


@pytest.mark.parametrize("values", [3.0, np.array(["a", "b"]), np.array([True, False])])
def test_values_that_are_no_curves(values: object) -> None:
    with pytest.raises(InputError, match=r"numbers of shape \(\.\.\., step\)"):
        max_slope_step(values)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", [-1, 2.5, [1, 2, 3]])
def test_ends_that_do_not_fit(end: object) -> None:
    with pytest.raises(InputError, match=r"whole numbers from 0 on that fit .* \(2,\)"):
        max_slope_step(np.zeros((2, 100)), end=end)  # type: ignore[arg-type]


def test_unknown_reading() -> None:
    with pytest.raises(InputError, match="'code' or 'text'"):
        area_step(np.zeros(100), "paper")


finite = st.lists(st.integers(-1000, 1000), min_size=12, max_size=40)


@settings(max_examples=60, deadline=None)
@given(finite, st.integers(2, 5))
def test_text_steps_do_not_depend_on_the_unit(heights: list[int], factor: int) -> None:
    curve = np.array(heights, dtype=float)
    for function in ALL[:3]:
        np.testing.assert_array_equal(
            function(curve, "text"), function(2.0**factor * curve, "text")
        )


@settings(max_examples=60, deadline=None)
@given(finite)
def test_max_slope_is_the_steepest_interval(heights: list[int]) -> None:
    curve = np.array(heights, dtype=float)
    step = max_slope_step(curve, "text")
    rises = np.diff(curve)
    if rises.max() <= 0:
        assert np.isnan(step)
    else:
        assert step == rises.argmax() + 1


@settings(max_examples=60, deadline=None)
@given(finite, st.integers(-500, 500))
def test_plateau_never_shrinks_with_the_threshold(heights: list[int], threshold: int) -> None:
    low = plateau_step(heights, threshold, "code")
    high = plateau_step(heights, threshold + 10, "code")
    assert low <= high
    assert is_censored(heights, threshold) == (low == 100)


def test_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = np.random.default_rng(0).normal(size=(50, 100)).cumsum(axis=1)
    end = np.random.default_rng(1).integers(0, 101, size=50)

    def every() -> list[NDArray[np.float64]]:
        return [
            max_slope_step(curves, end=end),
            plateau_step(curves, 20.0, end=end),
            area_step(curves),
        ]

    whole = every()
    monkeypatch.setattr("steppe.statistics.per_curve._BLOCK", 7)
    np.testing.assert_array_equal(whole, every())


def test_rises_that_are_nearly_the_steepest() -> None:
    rises = np.array([0, 8.1, 1, 10, 9, 2, 8.5, 12, 11, 7.9])
    curves = np.stack([rises.cumsum(), -rises.cumsum(), np.full(10, np.nan)])
    found = nearly_steepest(curves, [3.0, np.nan, np.nan])
    # 12 is steeper (beyond the end of the curve that was read), 9 lies beside a steeper one.
    assert np.flatnonzero(found[0]).tolist() == [1, 3]
    assert not found[1:].any()
