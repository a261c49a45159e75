"""At which step does a curve leave its initial straight line? The paper's NL step, appendix B.2."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.core.readings import check_reading
from steppe.statistics.per_curve import Ends, Rows, first, has_gap, per_curve

# Paper, appendix B.2: a slope that deviates by more than 10 % of the initial slope.
_TEXT_DEVIATION = 0.10
# The authors' code: a value that deviates by more than 20 % from the line through steps 0 and 9.
_CODE_DEVIATION_PERCENT = 20
_CODE_LINE_END = 9


def nonlinearity_step(values: ArrayLike, reading: str = "text") -> NDArray[np.float64]:
    """Step at which each curve departs from linearity.

    ``code`` (the authors' function): a line is laid through the values at steps 0 and 9; the answer
    is the step before the first (from 10 on) whose value is more than 20 % off that line, and the
    number of points when there is none. A line at 0 or below counts as they count it: a value off a
    zero line is infinitely far off, and a negative line is never left.

    ``text`` (the paper's words): the first step, from 2 on, whose slope differs from the initial
    slope by more than 10 % of it. The slope at a step is the rise over the interval that ends
    there; the initial slope is that of the first interval, f(1) - f(0). On a curve that starts flat
    any slope differs. NaN where there is no such step, or a NaN inside the curve.

    Args:
        values: (..., step) curves.
        reading: ``text`` or ``code``.

    Returns:
        (...) steps; in the ``code`` reading NaN for a curve of fewer than 11 points.
    """
    kernel = _code if check_reading(reading) == "code" else _text
    return per_curve(kernel, values)


def _text(rows: Rows, ends: Ends) -> NDArray[np.float64]:
    slopes = np.diff(rows.astype(np.float64), axis=1)
    initial = slopes[:, :1]
    departs = np.abs(slopes - initial) > _TEXT_DEVIATION * np.abs(initial)
    step = first(departs, np.nan) + 1
    return np.where(has_gap(rows, ends), np.nan, step)


def _code(rows: Rows, _ends: Ends) -> NDArray[np.float64]:
    n_step = rows.shape[1]
    if n_step <= _CODE_LINE_END + 1:
        return np.full(len(rows), np.nan)
    slope = (rows[:, _CODE_LINE_END] - rows[:, 0]) / _CODE_LINE_END
    line = rows[:, :1] + slope[:, None] * np.arange(n_step, dtype=rows.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.abs(rows - line) / line * 100
    hit = first(deviation[:, _CODE_LINE_END + 1 :] > _CODE_DEVIATION_PERCENT, np.nan)
    return np.where(np.isnan(hit), n_step, hit + _CODE_LINE_END)
