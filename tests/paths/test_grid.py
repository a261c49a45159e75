"""Steps lie where the two readings put them."""

from __future__ import annotations

import numpy as np
import pytest

from steppe.core.errors import InputError
from steppe.paths.grid import absolute_grid, relative_grid


def test_the_text_has_101_points_half_apart() -> None:
    grid = absolute_grid(0.5)
    assert grid.n_points == 101
    np.testing.assert_allclose(grid.positions, 0.5 * np.arange(101))
    np.testing.assert_allclose(relative_grid().positions, np.arange(101) / 100)


def test_the_code_has_100_points_with_the_same_ends() -> None:
    grid = absolute_grid(0.5, "code")
    assert grid.n_points == 100
    np.testing.assert_allclose(grid.positions, 50 * np.arange(100) / 99)
    np.testing.assert_allclose(relative_grid("code").positions, np.arange(100) / 99)


def test_the_step_size_scales_lengths() -> None:
    np.testing.assert_allclose(
        absolute_grid(2.0, "text").positions, 4 * absolute_grid(0.5, "text").positions
    )


@pytest.mark.parametrize("step_size", [0.0, -1.0, float("nan"), float("inf")])
def test_the_step_size_is_positive(step_size: float) -> None:
    with pytest.raises(InputError, match=f"{step_size}"):
        absolute_grid(step_size)


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(InputError):
        relative_grid("paper")  # type: ignore[arg-type]


def test_any_number_of_points_may_be_asked_for() -> None:
    np.testing.assert_array_equal(relative_grid(n_points=11).positions, np.linspace(0, 1, 11))
    np.testing.assert_array_equal(absolute_grid(2.0, n_points=4).positions, [0, 2, 4, 6])


@pytest.mark.parametrize("n_points", [1, 0, -3])
def test_a_path_has_two_points(n_points: int) -> None:
    with pytest.raises(InputError, match=str(n_points)):
        relative_grid(n_points=n_points)


def test_the_authors_paths_have_their_own_number_of_points() -> None:
    with pytest.raises(InputError, match="11 in the reading 'code'"):
        relative_grid("code", n_points=11)
