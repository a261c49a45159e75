"""Where do curves first reach a level, when every point has to be computed? Bisection, or a scan.

A curve that rises up to the level can be bisected: a few probes, then halving. One that does not
may cross more than once, and the first crossing is found by scanning it. Which of the two a curve
is, is judged by its probes and by every point that halving meets; a rise and fall between two
neighbouring probes is not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steppe.statistics.plateau import crossing_step, is_censored

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# From (point,) curves and (point,) steps to (point,) values.
Evaluate = Callable[[Ints, Ints], Floats]

PROBES = 8
# What a curve may fall between two points and still count as rising, in parts of the level.
TOLERANCE = 1e-4


# Points that a search mostly takes of a path of a hundred.
EVALUATIONS = 12


@dataclass(frozen=True, eq=False)
class Crossings:
    """First crossings of a level.

    Attributes:
        step: ``(curve,)`` place on the step axis, linear between grid points; NaN for a curve that
            never reaches the level, for one that is undefined, and for one with a NaN that was met.
        censored: ``(curve,)`` whether it never reaches the level on its grid; False where a NaN was
            met, as it is not known.
        scanned: ``(curve,)`` whether bisection was not safe.
        evaluations: ``(curve,)`` how many points were computed.
    """

    step: Floats
    censored: NDArray[np.bool_]
    scanned: NDArray[np.bool_]
    evaluations: Ints


@dataclass(frozen=True, eq=False)
class _Bracket:
    """Between which steps curves cross, and their values there."""

    curve: Ints
    low: Ints
    high: Ints
    at_low: Floats
    at_high: Floats


def find_crossings(
    evaluate: Evaluate, n_curves: int, n_steps: int, level: float, *, probes: int = PROBES
) -> Crossings:
    """Find where curves that start at 0 first reach a level.

    Args:
        evaluate: Computes points; a curve whose probes are all NaN is undefined and left alone.
        n_curves: Number of curves.
        n_steps: Grid points of each, the start (step 0) among them.
        level: Value to be reached, above 0.
        probes: Evenly spaced points that are computed of every curve.
    """
    places = np.unique(np.round(np.linspace(0, n_steps - 1, probes + 1)).astype(np.int64))
    curves = np.arange(n_curves)
    counts = np.full(n_curves, len(places) - 1)
    values = np.zeros((n_curves, len(places)))
    grid = np.meshgrid(curves, places[1:], indexing="ij")
    values[:, 1:] = evaluate(grid[0].ravel(), grid[1].ravel()).reshape(grid[0].shape)
    undefined = np.isnan(values).all(axis=1, where=places > 0)
    reached = values >= level
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), len(places))
    rises = _rises(values, first, level)
    step = np.full(n_curves, np.nan)

    found = np.flatnonzero(rises & (first < len(places)) & ~undefined)
    bracket = _Bracket(
        found,
        places[first[found] - 1],
        places[first[found]],
        values[found, first[found] - 1],
        values[found, first[found]],
    )
    step[found], unsafe = _halve(evaluate, bracket, level, counts)
    scanned = ~undefined & ~rises
    scanned[found[unsafe]] = True
    censored = rises & (first == len(places)) & ~undefined
    scan = np.flatnonzero(scanned)
    step[scan], censored[scan] = _scan(evaluate, scan, n_steps, level)
    counts[scan] += n_steps - 1
    counts[undefined] = 0
    return Crossings(step, censored, scanned, counts)


def _rises(values: Floats, first: Ints, level: float) -> NDArray[np.bool_]:
    """(curve,): whether a curve never falls on the way to its first value at the level."""
    on_the_way = np.arange(1, values.shape[1]) <= first[:, None]
    steady = np.diff(values, axis=1) >= -TOLERANCE * level
    return np.asarray((steady | ~on_the_way).all(axis=1))


def _halve(
    evaluate: Evaluate, bracket: _Bracket, level: float, counts: Ints
) -> tuple[Floats, NDArray[np.bool_]]:
    """Halve every bracket down to two neighbours; (crossing, whether a value lay outside)."""
    low, high = bracket.low.copy(), bracket.high.copy()
    at_low, at_high = bracket.at_low.copy(), bracket.at_high.copy()
    unsafe = np.zeros(len(low), dtype=bool)
    while True:
        open_ = np.flatnonzero((high - low > 1) & ~unsafe)
        if not len(open_):
            break
        middle = (low[open_] + high[open_]) // 2
        value = evaluate(bracket.curve[open_], middle)
        counts[bracket.curve[open_]] += 1
        slack = TOLERANCE * level
        inside = (value >= at_low[open_] - slack) & (value <= at_high[open_] + slack)
        unsafe[open_[~inside]] = True
        above = value >= level
        high[open_[above]], at_high[open_[above]] = middle[above], value[above]
        low[open_[~above]], at_low[open_[~above]] = middle[~above], value[~above]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (level - at_low) / (at_high - at_low)
    return np.asarray(low + share * (high - low), np.float64), unsafe


def _scan(
    evaluate: Evaluate, scan: Ints, n_steps: int, level: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Every point of some curves; (crossing, whether there is none)."""
    values = np.zeros((len(scan), n_steps))
    if len(scan):
        grid = np.meshgrid(scan, np.arange(1, n_steps), indexing="ij")
        found = evaluate(grid[0].ravel(), grid[1].ravel())
        values[:, 1:] = found.reshape(grid[0].shape)
    return crossing_step(values, level), is_censored(values, level)
