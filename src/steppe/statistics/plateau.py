"""How far does the plateau around a base reach? The paper's AP step, section 4.4."""

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
    within,
)


def plateau_step(
    values: ArrayLike,
    threshold: float,
    reading: str = "text",
    end: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """First step at which each curve is at or above ``threshold``.

    A curve that never gets there is censored: its plateau is at least as long as the curve. See
    `is_censored` for the flag. ``text`` gives NaN, also to a curve with a NaN inside; ``code``
    gives such a curve 100 (with more than 100 points: their number) and passes over NaN.

    Args:
        values: (..., step) curves.
        threshold: Value to be reached, in the curve's unit (the paper's is an L2 distance of 20,
            in GPT-2).
        reading: ``text`` or ``code``.
        end: Number of points of each curve that count, broadcast to (...).

    Returns:
        (...) steps.
    """
    code = check_reading(reading) == "code"

    def kernel(rows: Rows, ends: Ends) -> NDArray[np.float64]:
        never = max(AUTHORS_POINTS, rows.shape[1]) if code else np.nan
        step = first(_reached(rows, ends, threshold), never)
        return step if code else np.where(has_gap(rows, ends), np.nan, step)

    return per_curve(kernel, values, end)


def crossing_step(
    values: ArrayLike, threshold: float, end: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Where each curve first reaches ``threshold``, linear between grid points.

    Args:
        values: (..., step) curves.
        threshold: Value to be reached, in the curve's unit.
        end: Number of points of each curve that count, broadcast to (...).

    Returns:
        (...) places on the step axis, not whole in general; 0 for a curve that starts at or above
        the threshold, NaN for one that never reaches it or has a NaN inside.
    """

    def kernel(rows: Rows, ends: Ends) -> NDArray[np.float64]:
        step = first(_reached(rows, ends, threshold), np.nan)
        after = np.nan_to_num(step).astype(np.int64)
        before = np.maximum(after - 1, 0)
        curve = np.arange(len(rows))
        low, high = rows[curve, before].astype(np.float64), rows[curve, after].astype(np.float64)
        back = np.divide(high - threshold, high - low, out=np.zeros(len(rows)), where=high > low)
        return np.where(has_gap(rows, ends), np.nan, step - np.where(after > 0, back, 0))

    return per_curve(kernel, values, end)


def is_censored(
    values: ArrayLike, threshold: float, end: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Whether each curve stays below ``threshold`` at every point that counts.

    Args:
        values: (..., step) curves.
        threshold: Value to be reached, in the curve's unit.
        end: Number of points of each curve that count, broadcast to (...).

    Returns:
        (...) True for a curve that never reaches it; False for one with a NaN inside, of which
        it is not known.
    """

    def kernel(rows: Rows, ends: Ends) -> NDArray[np.float64]:
        below = ~_reached(rows, ends, threshold).any(axis=1)
        return (below & ~has_gap(rows, ends)).astype(np.float64)

    return np.asarray(per_curve(kernel, values, end) == 1)


def _reached(rows: Rows, ends: Ends, threshold: float) -> NDArray[np.bool_]:
    return np.asarray((rows >= threshold) & within(rows, ends))
