"""How much of a path a curve takes to go over from one end's value to the other's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOW, HIGH = 0.1, 0.9


def transition_width(values: ArrayLike) -> NDArray[np.float64]:
    """Share of the path between where a curve first reaches 0.1 and where it last does 0.9.

    Of curves from 0 to 1, such as the metric ``relative_distance``: 0.8 for a straight line, less
    for a step. Exchanging the ends (``1 - d``, backwards) changes nothing. Between steps curves
    are taken to be straight.

    Args:
        values: ``(..., step)``, on an even grid.

    Returns:
        ``(...)``; NaN where the curve holds NaN, has fewer than two points, or does not begin
        below 0.1 and end above 0.9.
    """
    curves = np.asarray(values, dtype=np.float64)
    rows = curves.reshape(-1, curves.shape[-1])
    widths = [_last(row) - _first(row, LOW) if _goes_over(row) else np.nan for row in rows]
    return np.reshape(np.array(widths, np.float64), curves.shape[:-1])


def _goes_over(row: NDArray[np.float64]) -> bool:
    return len(row) > 1 and bool(np.isfinite(row).all() and row[0] < LOW and row[-1] > HIGH)


def _first(row: NDArray[np.float64], level: float) -> float:
    step = int((row >= level).argmax())
    part = (level - row[step - 1]) / (row[step] - row[step - 1])
    return float((step - 1 + part) / (len(row) - 1))


def _last(row: NDArray[np.float64]) -> float:
    return 1 - _first(1 - row[::-1], 1 - HIGH)
