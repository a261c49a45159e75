"""Which superellipse is the contour of equal response in the plane of two directions?

Along both directions alone the response reaches a threshold at the intercepts. Where a response
is a quadratic form, points in between reach it on an ellipse through them, x^p + y^p = 1 with p = 2
(x and y in units of the intercepts). A mixture that is tolerated better than either direction alone
bulges outwards, p > 2 (Ferreira da Silva and Heimersheim 2026, arXiv 2606.24964).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from steppe.core.errors import InputError
from steppe.core.names import check_names
from steppe.statistics.plateau import crossing_step

Floats = NDArray[np.float64]
Normalization = Literal["geodesic", "small_angle"]
_NORMALIZATIONS = ("geodesic", "small_angle")
# As the authors' code: how near to the grid's end a point is dropped, in degrees; which points in
# units of the intercepts are fitted; and between which exponents is sought.
_EDGE = 1.0
_FITTED = (0.05, 1.5)
_EXPONENTS = (0.5, 10.0)
_FEWEST = 3
# The search ends so near to a bound that nothing beyond it was better.
_NEAR = 1e-3


@dataclass(frozen=True)
class Superellipse:
    """The superellipse that was fitted to a contour.

    Attributes:
        p: The exponent, 0.5 to 10; NaN with fewer than three points, or where the threshold is not
            reached along both directions.
        intercepts: Angles at which the threshold is reached along the first and the second
            direction alone, in degrees; NaN where it is not.
        misfit: Mean distance of the points' superelliptic radius from 1; NaN where p is.
        points: How many points of the contour were fitted.
    """

    p: float
    intercepts: tuple[float, float]
    misfit: float
    points: int

    @property
    def is_at_bound(self) -> bool:
        """Whether the exponent ended at 0.5 or 10: the best one may lie beyond, and p says less."""
        return bool(min(abs(self.p - bound) for bound in _EXPONENTS) < _NEAR)


def superellipse_exponent(
    l2: ArrayLike,
    angles_degrees: ArrayLike,
    threshold: float,
    normalization: Normalization = "geodesic",
) -> Superellipse:
    """Fit a superellipse to the contour of the median response over anchors.

    Args:
        l2: Responses ``(anchor, angle, angle)``: how far the output moves at each angle along the
            first and along the second direction; 0 where both angles are.
        angles_degrees: ``(angle,)`` the angles, from 0 on, rising, the same along both.
        threshold: The response of the contour.
        normalization: ``geodesic``: x = sin(r) cos(phi) / sin(intercept), r the angle moved by;
            ``small_angle``: x = angle / intercept.

    Raises:
        InputError: Shapes that do not fit, numbers that are none, or a threshold that is not
            positive.
    """
    values, angles = np.asarray(l2, np.float64), np.asarray(angles_degrees, np.float64)
    _check(values, angles, threshold)
    median = np.median(values, axis=0)
    first, second = (intercept(axis, threshold, angles) for axis in (median[:, 0], median[0]))
    return fit_superellipse(_contour(median, angles, threshold), (first, second), normalization)


def intercept(response: ArrayLike, threshold: float, angles_degrees: ArrayLike) -> float:
    """The angle at which a response along one direction first reaches the threshold.

    Args:
        response: ``(angle,)``.
        threshold: The response that is to be reached.
        angles_degrees: ``(angle,)``, rising.

    Returns:
        Degrees, linear between the angles; NaN where it is never reached.
    """
    angles = np.asarray(angles_degrees, np.float64)
    return float(np.interp(crossing_step(response, threshold), np.arange(len(angles)), angles))


def fit_superellipse(
    points_degrees: ArrayLike,
    intercepts: tuple[float, float],
    normalization: Normalization = "geodesic",
) -> Superellipse:
    """Fit a superellipse to points of a contour.

    Args:
        points_degrees: ``(point, 2)`` angles along the first and the second direction.
        intercepts: Angles at which the contour meets both axes.
        normalization: As of `superellipse_exponent`.

    Raises:
        InputError: Points of another shape, or intercepts at or below 0.
    """
    check_names("normalization", [normalization], _NORMALIZATIONS)
    points = np.asarray(points_degrees, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or any(one <= 0 for one in intercepts):
        raise InputError(
            "points of a contour",
            got=f"shape {points.shape}, intercepts {intercepts}",
            expected="(point, 2), and intercepts above 0 (NaN where there is none)",
            fix="give angles in degrees along the first and the second direction",
        )
    x, y = _scaled(points, intercepts, normalization)
    if len(x) < _FEWEST:
        return Superellipse(np.nan, intercepts, np.nan, len(x))

    def misses(p: float) -> float:
        return float(((x**p + y**p - 1) ** 2).sum())

    p = float(minimize_scalar(misses, bounds=_EXPONENTS, method="bounded").x)
    misfit = float(np.abs((x**p + y**p) ** (1 / p) - 1).mean())
    return Superellipse(p, intercepts, misfit, len(x))


def _contour(median: Floats, angles: Floats, threshold: float) -> Floats:
    """Points of the contour away from the grid's end, ``(point, 2)``, in degrees."""
    generator = contourpy.contour_generator(angles, angles, median.T)
    lines = [np.asarray(line, np.float64) for line in generator.lines(threshold)]
    points = np.concatenate([np.empty((0, 2)), *lines])
    kept: Floats = points[(points < angles[-1] - _EDGE).all(axis=1)]
    return kept


def _scaled(
    points: Floats, intercepts: tuple[float, float], normalization: Normalization
) -> tuple[Floats, Floats]:
    """The points that are fitted, in units of the intercepts."""
    units = np.array(intercepts)
    if normalization == "geodesic":
        units, radians = np.sin(np.deg2rad(units)), np.deg2rad(points)
        # sin(r) cos(phi) is the angle times sin(r) / r.
        points = radians * np.sinc(np.linalg.norm(radians, axis=1, keepdims=True) / np.pi)
    scaled = points / units
    low, high = _FITTED
    kept = ((scaled > low) & (scaled < high)).all(axis=1)
    return scaled[kept, 0], scaled[kept, 1]


def _check(values: Floats, angles: Floats, threshold: float) -> None:
    count = len(angles)
    if values.ndim != 3 or values.shape[1:] != (count, count) or not values.size:
        raise InputError(
            "responses",
            got=f"shape {values.shape} for {count} angles",
            expected=f"(anchor, {count}, {count})",
            fix="give one response per anchor and pair of angles",
        )
    if angles.ndim != 1 or count < 2 or angles[0] != 0 or not (np.diff(angles) > 0).all():
        raise InputError(
            "angles",
            got=f"{count} angles that are not rising from 0",
            expected="angles in degrees from 0 on, each larger than the one before",
            fix="for instance numpy.linspace(0, 60, 31)",
        )
    if not np.isfinite(values).all() or not (np.isfinite(threshold) and threshold > 0):
        raise InputError(
            "responses",
            got=f"{int((~np.isfinite(values)).sum())} that are no number, threshold {threshold}",
            expected="finite numbers, and a threshold above zero",
            fix="leave out anchors whose output is undefined",
        )
