"""How is a statistic computed for many curves at once? The last axis is `step`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.core.errors import InputError

Rows = NDArray[np.floating]
Ends = NDArray[np.int64]
Kernel = Callable[[Rows, Ends], NDArray[np.float64]]

# The authors' paths have 100 points; their "never" answers are this number, or one less.
AUTHORS_POINTS = 100

_BLOCK = 65_536


def per_curve(
    kernel: Kernel, values: ArrayLike, end: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Apply ``kernel`` to every curve of ``values``, block by block, so that memory stays bounded.

    Args:
        kernel: Takes curves (curve, step) and the number of points of each that count (curve,);
            returns one number per curve.
        values: (..., step) curves.
        end: Number of points of each curve that count, broadcast to (...); None for all of them.

    Returns:
        (...) one number per curve; NaN for a curve that is NaN at every point that counts.

    Raises:
        InputError: ``values`` has no step axis, or ``end`` is no whole number from 0 on, or does
            not fit the leading shape.
    """
    curves = _curves(values)
    n_step = curves.shape[-1]
    rows = curves.reshape(-1, n_step)
    ends = np.full(len(rows), n_step) if end is None else _ends(end, curves.shape).ravel()
    result = np.full(len(rows), np.nan)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        answer = kernel(rows[block], ends[block])
        counts = within(rows[block], ends[block])
        empty = (np.isnan(rows[block]) | ~counts).all(axis=1) & (ends[block] > 0)
        result[block] = np.where(empty, np.nan, answer)
    return np.reshape(result, curves.shape[:-1])


def within(rows: Rows, ends: Ends) -> NDArray[np.bool_]:
    """(curve, step): which points count, those before the curve's end."""
    return np.arange(rows.shape[1]) < ends[:, None]


def has_gap(rows: Rows, ends: Ends) -> NDArray[np.bool_]:
    """(curve,): whether one of the points that count is NaN."""
    return np.asarray((np.isnan(rows) & within(rows, ends)).any(axis=1))


def rounding(rows: Rows, ends: Ends) -> NDArray[np.float64]:
    """(curve,): how far two differences of a curve's values can be apart by rounding alone."""
    largest = np.where(within(rows, ends), np.abs(rows), 0).max(axis=1, initial=0)
    resolution = float(np.finfo(rows.dtype).eps)
    return np.asarray(4 * resolution * np.nan_to_num(largest), np.float64)


def first(hits: NDArray[np.bool_], otherwise: float) -> NDArray[np.float64]:
    """(curve,): index of the first hit of each row of (curve, step), or ``otherwise``."""
    if hits.shape[1] == 0:
        return np.full(len(hits), otherwise)
    return np.where(hits.any(axis=1), hits.argmax(axis=1), otherwise).astype(np.float64)


def _curves(values: ArrayLike) -> Rows:
    curves = np.asarray(values)
    if curves.ndim == 0 or curves.dtype.kind not in "fiu":
        raise InputError(
            "curves",
            got=f"{curves.dtype} of shape {curves.shape}",
            expected="numbers of shape (..., step)",
            fix="give an array whose last axis is the step",
        )
    return curves if curves.dtype.kind == "f" else curves.astype(np.float64)


def _ends(end: ArrayLike, shape: tuple[int, ...]) -> Ends:
    given = np.asarray(end)
    whole = given.dtype.kind in "iu" or bool(np.all(given == np.floor(given)))
    try:
        ends = np.broadcast_to(given, shape[:-1])
    except ValueError:
        ends = None
    if ends is None or not whole or given.min(initial=0) < 0:
        raise InputError(
            "end of the curves",
            got=f"{given.dtype} of shape {given.shape}, least {given.min(initial=0)}",
            expected=f"whole numbers from 0 on that fit the curves' shape {shape[:-1]}",
            fix="give one number of points per curve, for instance its target step",
        )
    capped: Ends = np.minimum(ends, shape[-1]).astype(np.int64)
    return capped
