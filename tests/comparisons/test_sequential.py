"""Levels of planned looks: published boundaries, simulated sums, p-values over all looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from steppe.comparisons import look_levels, sequential_p
from steppe.comparisons.sequential import crossing_chance

LOOKS = (64, 128, 256, 512, 1000)
FIVE = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "scores",
    [
        # Constants for five looks at 5%: Jennison and Turnbull 2000, tables 2.1 and 2.3.
        np.full(5, 2.413),
        2.040 * np.sqrt(5 / np.arange(1, 6)),
    ],
    ids=["Pocock", "O'Brien and Fleming"],
)
def test_published_boundaries_spend_five_percent(scores: np.ndarray) -> None:
    assert crossing_chance(FIVE, 2 * ndtr(-scores)) == pytest.approx(0.05, abs=1e-4)


def test_each_look_spends_its_share() -> None:
    levels = look_levels(LOOKS)
    for count in range(1, len(LOOKS) + 1):
        never = np.full(len(LOOKS) - count, 1e-15)
        spent = crossing_chance(LOOKS, [*levels[:count], *never])
        assert spent == pytest.approx(0.05 * LOOKS[count - 1] / LOOKS[-1], abs=1e-8)


def test_one_look_has_the_whole_level() -> None:
    assert look_levels([300]) == pytest.approx([0.05])


def sums(runs: int, shift: float = 0.0) -> np.ndarray:
    """P-values of means of normal samples at every look, ``(run, look)``."""
    generator = np.random.default_rng(0)
    steps = np.diff(LOOKS, prepend=0)
    drawn = generator.normal(shift * steps, np.sqrt(steps), size=(runs, len(steps)))
    return 2 * ndtr(-np.abs(drawn.cumsum(axis=1)) / np.sqrt(LOOKS))


def test_false_verdicts_are_five_percent_over_all_looks() -> None:
    p = sums(100_000)
    assert (p <= look_levels(LOOKS)).any(axis=1).mean() == pytest.approx(0.05, abs=0.003)
    # What is guarded against.
    assert (p <= 0.05).any(axis=1).mean() > 0.16


def test_power_that_is_lost_is_as_documented() -> None:
    # An effect that one look sees in 80% of runs; docs/statistics.md states 76%.
    p = sums(50_000, 2.8016 / np.sqrt(1000))
    assert (p[:, -1] <= 0.05).mean() == pytest.approx(0.80, abs=0.01)
    assert (p <= look_levels(LOOKS)).any(axis=1).mean() == pytest.approx(0.76, abs=0.01)


def test_a_p_value_of_all_looks_is_a_p_value() -> None:
    found = np.array([sequential_p(p, LOOKS) for p in sums(4000)])
    for alpha in (0.01, 0.05, 0.2):
        error = np.sqrt(alpha * (1 - alpha) / len(found))
        assert (found <= alpha).mean() == pytest.approx(alpha, abs=4 * error)


def test_it_is_clear_where_a_look_is() -> None:
    levels = look_levels(LOOKS)
    for k, level in enumerate(levels):
        before = [1.0] * k
        assert sequential_p([*before, level * 0.999], LOOKS) < 0.05
        assert sequential_p([*before, level * 1.001], LOOKS) > 0.05
    assert np.isnan(sequential_p([np.nan], LOOKS))
