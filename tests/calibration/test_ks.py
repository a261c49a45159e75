"""Intervals of KS distances, and of a difference of two, hold the truth about as often as said."""

from __future__ import annotations

import pytest
from benchmarks.calibration.ks import Cell, cells, cover, text_of
from scipy.stats import binom

RUNS = 100


@pytest.mark.parametrize("cell", cells(quick=True), ids=text_of)
def test_intervals_cover(cell: Cell) -> None:
    found = cover(cell, RUNS)
    # So few are fewer than 94% give by luck; an interval that always covers is as wrong.
    assert found.covered >= binom.ppf(1e-4, RUNS, 0.94) / RUNS
    assert found.above <= binom.ppf(1 - 1e-4, RUNS, 0.04)
    assert found.below <= binom.ppf(1 - 1e-4, RUNS, 0.03)


def test_near_zero_a_bound_is_given() -> None:
    assert cover(Cell((0.02,), 100, 0.0, True), 40).bounds > 30
    assert cover(Cell((0.4,), 100, 0.0, True), 40).bounds == 0
