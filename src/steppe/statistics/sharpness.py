"""How steep the steepest piece of a curve is, against a straight line to its end."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def sharpness(values: ArrayLike) -> NDArray[np.float64]:
    """Largest rise in one step, in parts of the whole rise, times the number of steps.

    ``max_i (d[i+1] - d[i]) / (d[-1] - d[0]) * (n - 1)`` (Janiak et al. 2024, arXiv 2409.17113):
    1 for a straight line, n - 1 for a single jump.

    Args:
        values: ``(..., step)``, on an even grid.

    Returns:
        ``(...)``; NaN where the curve does not rise, has fewer than two points, or holds NaN.
    """
    curves = np.asarray(values, dtype=np.float64)
    if curves.shape[-1] < 2:
        return np.full(curves.shape[:-1], np.nan)
    rises = np.diff(curves, axis=-1)
    whole = curves[..., -1] - curves[..., 0]
    defined = (whole > 0) & np.isfinite(curves).all(axis=-1)
    steepest = np.where(defined, rises.max(axis=-1, initial=-np.inf), np.nan)
    result: NDArray[np.float64] = steepest / np.where(defined, whole, 1) * rises.shape[-1]
    return result
