"""Steps lie where the two readings put them."""

from __future__ import annotations

import numpy as np
import pytest

from steppe.core.errors import InputError
from steppe.paths.grid import absolute_grid, relative_grid


def test_the_text_has_101_points_half_apart() -> None:
    grid = absolute_grid(reading="text")
    assert grid.n_points == 101
    np.testing.assert_allclose(grid.positions, 0.5 * np.arange(101))
    np.testing.assert_allclose(relative_grid("text").positions, np.arange(101) / 100)


def test_the_code_has_100_points_with_the_same_ends() -> None:
    grid = absolute_grid()
    assert grid.n_points == 100
    np.testing.assert_allclose(grid.positions, 50 * np.arange(100) / 99)
    np.testing.assert_allclose(relative_grid().positions, np.arange(100) / 99)


def test_the_step_size_scales_lengths() -> None:
    np.testing.assert_allclose(
        absolute_grid(2.0, "text").positions, 4 * absolute_grid(0.5, "text").positions
    )


@pytest.mark.parametrize("step_size", [0.0, -1.0, float("nan"), float("inf")])
def test_the_step_size_is_positive(step_size: float) -> None:
    with pytest.raises(InputError) as caught:
        absolute_grid(step_size)
    assert str(caught.value) == (
        "step size\n"
        f"  got:      {step_size}\n"
        "  expected: a positive length, in the units of the residual stream\n"
        "  fix:      0.5 is the paper's, for GPT-2"
    )


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(InputError):
        relative_grid("paper")  # type: ignore[arg-type]
