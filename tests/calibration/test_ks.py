"""Intervals of KS distances, and of a difference of two, hold the truth about as often as said."""

from __future__ import annotations

from functools import cache

import pytest
from benchmarks.calibration.ks import Cell, Coverage, cells, cover, text_of
from scipy.stats import binom

RUNS = 100
QUICK = cells(quick=True)


@cache
def covered(cell: Cell) -> Coverage:
    return cover(cell, RUNS)


@pytest.mark.parametrize("cell", QUICK, ids=text_of)
def test_intervals_cover(cell: Cell) -> None:
    found = covered(cell)
    # So few are fewer than 94% give by luck.
    assert found.covered >= binom.ppf(1e-4, RUNS, 0.94) / RUNS
    assert found.above <= binom.ppf(1 - 1e-4, RUNS, 0.04)
    assert found.below <= binom.ppf(1 - 1e-4, RUNS, 0.03)


@pytest.mark.parametrize(
    "chosen",
    [
        [cell for cell in QUICK if len(cell.distances) == 1 and cell.distances[0] >= 0.1],
        [cell for cell in QUICK if len(cell.distances) == 2],
    ],
    ids=["distances", "differences"],
)
def test_neither_end_is_farther_out_than_need_be(chosen: list[Cell]) -> None:
    found = [covered(cell) for cell in chosen]
    # An interval that always covers is as wrong: so few misses are fewer than 2% give by luck.
    fewest = binom.ppf(0.01, RUNS * len(found), 0.02)
    assert sum(one.above for one in found) >= fewest
    assert sum(one.below for one in found) >= fewest


def test_near_zero_a_bound_is_given() -> None:
    assert cover(Cell((0.02,), 100, 0.0, True), 40).bounds > 30
    assert cover(Cell((0.4,), 100, 0.0, True), 40).bounds == 0
