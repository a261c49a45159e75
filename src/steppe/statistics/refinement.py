"""Which points of a curve have to be computed? A few, then those that its statistics rest on.

Every fifth point is computed, and a cubic spline laid through them. Points are added in rounds:
around each answer that is read off the spline, until the points that it rests on are computed; and
in the middle of intervals at whose ends the spline through every other point is off. A curve that
asks for most of its points is computed whole. What a curve does between two neighbouring points of
the first grid, and nowhere else, is not seen: a run compares some curves with all of their points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.floating]
# From the points wanted, (curve, step), to each metric's values at least there.
Evaluate = Callable[[Bools], Mapping[str, Floats]]
# From each metric's curves, (curve, step), to the points that what is read off them rests on.
ReadOff = Callable[[Mapping[str, Floats]], Mapping[str, Bools]]

# Of the first grid, every so manieth point.
EVERY = 5
# How far a point may be off the spline through every other point, in parts of the curve's range.
# The curve itself is off the spline through all of them by about a tenth of that.
TOLERANCE = 0.02
# A curve that asks for more than this part of its points is computed whole.
MOST = 0.6


@dataclass(frozen=True, eq=False)
class Refined:
    """Curves of which some points were computed.

    Attributes:
        values: ``(curve, step)``: what was computed, and the spline between; NaN for a curve that
            is undefined.
        computed: ``(curve, step)`` which points were.
    """

    values: Floats
    computed: Bools


def refine(
    evaluate: Evaluate, read_off: ReadOff, metrics: Sequence[str], shape: tuple[int, int]
) -> dict[str, Refined]:
    """Compute as many points of some curves as what is read off them needs.

    A metric takes the points that it asked for itself, so that it does not depend on the others. A
    curve depends on no other curve.

    Args:
        evaluate: Computes points, of all metrics together.
        read_off: Says which points the answers rest on, given whole curves; see `around`.
        metrics: Their names.
        shape: ``(curve, step)``.

    Returns:
        By metric.
    """
    known = {metric: np.full(shape, np.nan, np.float32) for metric in metrics}
    computed = {metric: np.zeros(shape, bool) for metric in metrics}
    curves = {metric: values.copy() for metric, values in known.items()}
    wanted = {metric: np.broadcast_to(first_grid(shape[1]), shape) for metric in metrics}
    while any(points.any() for points in wanted.values()):
        found = evaluate(np.logical_or.reduce(list(wanted.values())))
        changed = {metric: np.flatnonzero(wanted[metric].any(axis=1)) for metric in metrics}
        for metric, rows in changed.items():
            known[metric] = np.where(wanted[metric], found[metric], known[metric])
            computed[metric] = computed[metric] | wanted[metric]
            curves[metric][rows] = interpolated(known[metric][rows], computed[metric][rows])
        rests_on = read_off(curves)
        for metric, rows in changed.items():
            wanted[metric] = np.zeros(shape, bool)
            answers = rests_on[metric][rows] if metric in rests_on else False
            wanted[metric][rows] = _further(known[metric][rows], computed[metric][rows], answers)
    return {metric: Refined(curves[metric], computed[metric]) for metric in metrics}


def first_grid(n_steps: int) -> Bools:
    """The points that are computed of every curve, ``(step,)``.

    Both ends are among them, and step 1: the first slope is what later ones are compared with.
    """
    grid: Bools = np.arange(n_steps) % EVERY == 0
    grid[[min(1, n_steps - 1), -1]] = True
    return grid


def marked(steps: ArrayLike, n_steps: int) -> Bools:
    """Steps as marks on their curves.

    Args:
        steps: ``(...)`` steps that were read off; NaN where there was none. One beyond the curve,
            which stands for none, is not marked.
        n_steps: Points of a curve.

    Returns:
        ``(..., step)``
    """
    read = np.ceil(np.asarray(steps, np.float64))[..., None]
    return np.asarray(np.arange(n_steps) == read)


def around(marks: Bools, rests_on: tuple[int, int]) -> Bools:
    """The points that marked steps rest on.

    Args:
        marks: ``(..., step)``
        rests_on: The first and the last of them, counted from a step; see `Statistic`.

    Returns:
        ``(..., step)``
    """
    near = np.zeros_like(marks)
    n_steps = marks.shape[-1]
    for shift in range(rests_on[0], rests_on[1] + 1):
        to = slice(max(shift, 0), n_steps + min(shift, 0))
        of = slice(max(-shift, 0), n_steps + min(-shift, 0))
        near[..., to] |= marks[..., of]
    return near


def interpolated(values: Floats, computed: Bools) -> Floats:
    """Curves whose points are given where they were computed, and lie on a cubic spline between.

    Args:
        values: ``(curve, step)``; what stands where nothing was computed does not matter.
        computed: ``(curve, step)``

    Returns:
        ``(curve, step)`` of the same type; a curve with a NaN among its points has no spline, and
        is NaN between them.
    """
    filled = np.where(computed, values, np.nan).astype(values.dtype)
    for knots, rows in _alike(values, computed):
        between = np.flatnonzero(~computed[rows[0]])
        if len(knots) > 1 and len(between):
            spline = CubicSpline(knots, values[np.ix_(rows, knots)].astype(np.float64), axis=1)
            filled[np.ix_(rows, between)] = spline(between)
    return filled


def _further(values: Floats, computed: Bools, answers: Bools | bool) -> Bools:
    """The points that are to be computed next, ``(curve, step)``."""
    wanted = _unsure(values, computed) | answers
    gaps = np.isnan(values) & computed
    # One without any value is undefined, one with some is not understood.
    wanted[(gaps == computed).all(axis=1)] = False
    many = (computed | wanted).sum(axis=1) > MOST * values.shape[1]
    wanted[many | (gaps.any(axis=1) & (gaps != computed).any(axis=1))] = True
    return np.asarray(wanted & ~computed)


def _unsure(values: Floats, computed: Bools) -> Bools:
    """The middles of intervals that lie beside a point where the spline is off."""
    wanted = np.zeros(values.shape, bool)
    for knots, rows in _alike(values, computed):
        own = values[np.ix_(rows, knots)].astype(np.float64)
        off = _off(knots, own) > TOLERANCE * np.ptp(own, axis=1)[:, None]
        # An interval is halved where the spline is off at either of its ends.
        halved = off[:, :-1] | off[:, 1:]
        middles = (knots[:-1] + knots[1:]) // 2
        for row, intervals in zip(rows, halved, strict=True):
            wanted[row, middles[intervals]] = True
    return wanted


def _off(knots: Ints, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each point is off the spline through every other one and both ends; 0 at the ends."""
    off = np.zeros(values.shape)
    for left_out in (slice(1, -1, 2), slice(2, -1, 2)):
        places = np.arange(len(knots))[left_out]
        if not len(places):
            continue
        kept = np.delete(np.arange(len(knots)), places)
        spline = CubicSpline(knots[kept], values[:, kept], axis=1)
        off[:, places] = np.abs(spline(knots[places]) - values[:, places])
    return off


def _alike(values: Floats, computed: Bools) -> list[tuple[Ints, Ints]]:
    """The curves without a NaN, by which points were computed: (those points, these curves)."""
    whole = np.flatnonzero(~(np.isnan(values) & computed).any(axis=1))
    if not len(whole):
        return []
    patterns, which = np.unique(computed[whole], axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    bounds = np.flatnonzero(np.diff(which.ravel()[order])) + 1
    groups = np.split(whole[order], bounds)
    return [(np.flatnonzero(pattern), rows) for pattern, rows in zip(patterns, groups, strict=True)]
