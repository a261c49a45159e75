"""At which step does a curve rise most steeply (the blowup)? The paper's MS step, section 4.1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.core.readings import check_reading
from steppe.statistics.per_curve import (
    AUTHORS_POINTS,
    Ends,
    Rows,
    first,
    has_gap,
    per_curve,
    rounding,
    within,
)

# Between points that were not computed a spline's slopes are off by less than that, mostly.
_NEARLY = 0.2


def max_slope_step(
    values: ArrayLike,
    reading: str = "text",
    end: ArrayLike | None = None,
    *,
    min_slope: float | None = None,
) -> NDArray[np.float64]:
    """Step at the right end of the steepest interval of each curve.

    ``code`` (the authors' function): the first slope is counted twice, at index 0 and 1; among
    equal slopes the answer is the one that numpy's unstable sort puts last, as theirs is, so it may
    depend on the processor; a NaN slope counts as 0; a curve that rises nowhere by more than
    ``min_slope`` gets 99 (with more than 100 points: the last index).

    ``text`` (the paper's words): the first of equal slopes, where slopes closer than the rounding
    of the curve's values are equal; NaN for a curve that does not rise or has a NaN inside.

    Args:
        values: (..., step) curves.
        reading: ``text`` or ``code``.
        end: Number of points of each curve that count, broadcast to (...).
        min_slope: Rise per step, in the curve's unit, that counts as a rise; None for 0.02
            (``code``) or 0 (``text``).

    Returns:
        (...) steps; NaN in both readings for a curve of fewer than two points.
    """
    code = check_reading(reading) == "code"
    floor = min_slope if min_slope is not None else (0.02 if code else 0.0)

    def kernel(rows: Rows, ends: Ends) -> NDArray[np.float64]:
        if rows.shape[1] < 2:
            return np.full(len(rows), np.nan)
        return _code(rows, ends, floor) if code else _text(rows, ends, floor)

    return per_curve(kernel, values, end)


def nearly_steepest(values: ArrayLike, steps: ArrayLike) -> NDArray[np.bool_]:
    """Where a curve has another rise nearly as steep as that of its max-slope step.

    Args:
        values: ``(..., step)`` curves.
        steps: ``(...)`` their max-slope steps.

    Returns:
        ``(..., step)``: the right ends of intervals that are steeper than those beside them, no
        steeper than that of the step, and by no more than a fifth less steep.
    """
    rises = np.diff(np.asarray(values), axis=-1, prepend=np.nan)
    found = np.asarray(steps, np.float64)[..., None]
    at = np.clip(np.nan_to_num(found), 0, rises.shape[-1] - 1).astype(np.int64)
    steepest = np.where(np.isnan(found), np.nan, np.take_along_axis(rises, at, axis=-1))
    before, after = (np.roll(rises, shift, axis=-1) for shift in (1, -1))
    after[..., -1] = np.nan
    with np.errstate(invalid="ignore"):
        # A comparison with NaN, outside of the curve, is no objection.
        is_top = ~(before > rises) & ~(after > rises)
        near = (rises <= steepest) & (rises >= (1 - _NEARLY) * steepest)
        return np.asarray(is_top & near)


def _text(rows: Rows, ends: Ends, floor: float) -> NDArray[np.float64]:
    slopes = np.where(within(rows, ends)[:, 1:], np.diff(rows, axis=1), -np.inf)
    steepest = slopes.max(axis=1)
    noise = rounding(rows, ends)
    step = first(slopes >= (steepest - noise)[:, None], np.nan) + 1
    undefined = (ends < 2) | has_gap(rows, ends) | ~(steepest > np.maximum(floor, noise))
    return np.where(undefined, np.nan, step)


def _code(rows: Rows, ends: Ends, floor: float) -> NDArray[np.float64]:
    slopes = np.diff(rows, axis=1)
    slopes = np.where(np.isnan(slopes), 0, slopes).astype(rows.dtype)
    slopes = np.concatenate([slopes[:, :1], slopes], axis=1)
    slopes[~within(rows, ends)] = -np.inf
    steepest = slopes.max(axis=1)
    step = slopes.argmax(axis=1)
    _settle_ties(slopes, ends, step)
    never = max(AUTHORS_POINTS, rows.shape[1]) - 1
    answer = np.where(steepest > floor, step, never).astype(np.float64)
    return np.where(ends < 2, np.nan, answer)


def _settle_ties(slopes: Rows, ends: Ends, step: NDArray[np.int64]) -> None:
    """Where slopes tie for the steepest, put into ``step`` the one the authors' sort puts last."""
    tied = (slopes == slopes.max(axis=1)[:, None]).sum(axis=1) > 1
    # One sort per length: the order of equal numbers depends on how many are sorted.
    for length in np.unique(ends[tied & (ends > 1)]):
        rows = np.flatnonzero(tied & (ends == length))
        step[rows] = np.argsort(slopes[rows, :length], axis=1)[:, -1]
