"""At which step does a curve's triangle outgrow its area most? The paper's AUC step (B.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.core.readings import check_reading
from steppe.statistics.per_curve import Ends, Rows, first, has_gap, per_curve

# The authors leave out the first ratios, where a tiny area makes them noisy.
_AUTHORS_SKIP = 5


def area_step(values: ArrayLike, reading: str = "text") -> NDArray[np.float64]:
    """Step x at which triangle (0,0), (x,0), (x,f(x)) over the area under f on [0,x] is largest.

    ``code`` (the authors' function): the triangle's base is one step too long, steps below 5 and
    the last step are not considered, the ratio over a zero area is 0. A straight line and an
    all-zero curve get 5.

    ``text`` (the paper's words): the exact triangle and trapezoid area, every step from 1 on, the
    first of equal ratios, where ratios closer than the rounding of the values are equal. NaN
    where no area is above 0.

    Args:
        values: (..., step) curves.
        reading: ``text`` or ``code``.

    Returns:
        (...) steps; NaN in both readings for a curve with a NaN inside, and for one too short
        (``code``: fewer than 7 points, ``text``: fewer than 2).
    """
    kernel = _code if check_reading(reading) == "code" else _text
    return per_curve(kernel, values)


def _text(rows: Rows, ends: Ends) -> NDArray[np.float64]:
    steps = np.arange(1, rows.shape[1])
    ratios = _ratios(rows[:, 1:] * steps / 2, _areas(rows)[:, 1:], otherwise=-np.inf)
    best = ratios.max(axis=1, initial=-np.inf)
    tie = 4 * np.finfo(rows.dtype).eps * np.abs(np.where(np.isfinite(best), best, 0))
    step = first(ratios >= (best - tie)[:, None], np.nan) + 1
    return np.where(np.isfinite(best) & ~has_gap(rows, ends), step, np.nan)


def _code(rows: Rows, ends: Ends) -> NDArray[np.float64]:
    bases = np.arange(1, rows.shape[1])
    areas = _areas(rows)[:, :-1]
    triangles = rows[:, :-1] * bases / 2
    ratios = np.divide(triangles, areas, out=np.zeros_like(areas), where=areas != 0)
    ratios = ratios[:, _AUTHORS_SKIP:]
    if ratios.shape[1] == 0:
        return np.full(len(rows), np.nan)
    step = (ratios.argmax(axis=1) + _AUTHORS_SKIP).astype(np.float64)
    return np.where(has_gap(rows, ends), np.nan, step)


def _areas(rows: Rows) -> NDArray[np.float64]:
    """(curve, step): trapezoid area from step 0 to each step, steps of width 1."""
    wide = rows.astype(np.float64)
    areas = np.zeros_like(wide)
    np.cumsum((wide[:, 1:] + wide[:, :-1]) / 2, axis=1, out=areas[:, 1:])
    return areas


def _ratios(
    triangles: NDArray[np.floating], areas: NDArray[np.float64], *, otherwise: float
) -> NDArray[np.float64]:
    """Triangle over area where the area is above 0."""
    ratios = np.full(areas.shape, otherwise)
    np.divide(triangles, areas, out=ratios, where=areas > 0)
    return ratios
