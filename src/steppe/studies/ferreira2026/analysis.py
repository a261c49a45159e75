"""From responses to exponents: one superellipse per pair of directions and threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.core.axes import AXIS, FACTOR, FAMILY, PAIR, POINT, ROW, SAMPLE
from steppe.core.errors import NotMeasuredError
from steppe.statistics import Superellipse, fit_superellipse, superellipse_exponent
from steppe.study import Analysis, positive

Floats = NDArray[np.float64]
# What half of the smaller of both axes' largest responses is multiplied by.
FACTORS: tuple[float, ...] = (0.5, 1.0, 2.0)
FIT = ("p", "first", "second", "misfit", "points")


def median_grids(analysis: Analysis) -> xr.DataArray:
    """Median response over anchors, ``(family, pair, row, column)``."""
    return analysis["grids/l2"].median(SAMPLE)


def threshold_of(median: Floats) -> float:
    """Half of the smaller of the two largest responses along one direction alone."""
    return float(min(median[:, 0].max(), median[0].max()) / 2)


def fits(analysis: Analysis) -> xr.DataArray:
    """The fitted superellipse of every pair, ``(family, pair, factor, fit)``.

    NaN where a response is not known everywhere, or does not rise.
    """
    if "grids" in analysis.datasets:
        grids = analysis["median"]
        names, angles, factors = grids[FAMILY].values, grids[ROW].values, FACTORS
        found = [
            [[_of_grid(one, angles, factor) for factor in factors] for one in family]
            for family in grids.values.astype(np.float64)
        ]
    elif "searched" in analysis.datasets:
        searched = analysis.datasets["searched"].load()
        names, factors = searched[FAMILY].values, (1.0,)
        contours = searched["contour"].transpose(FAMILY, PAIR, POINT, AXIS).values
        ends = searched["intercepts"].transpose(FAMILY, PAIR, AXIS).values
        found = [
            [
                [_numbers(fit_superellipse(points, (float(end[0]), float(end[1]))))]
                for points, end in zip(*family, strict=True)
            ]
            for family in zip(contours, ends, strict=True)
        ]
    else:
        raise NotMeasuredError(
            f"run {analysis.run.path}",
            got="neither grids nor contours",
            expected="one of them",
            fix="measure the whole study",
        )
    coords = {FAMILY: names, FACTOR: list(factors), "fit": list(FIT)}
    return xr.DataArray(found, dims=(FAMILY, PAIR, FACTOR, "fit"), coords=coords)


def _of_grid(median: Floats, angles: Floats, factor: float) -> list[float]:
    level = factor * threshold_of(median)
    if not (np.isfinite(median).all() and level > 0):
        return [np.nan] * len(FIT)
    return _numbers(superellipse_exponent(median[None], angles, level))


def _numbers(fit: Superellipse) -> list[float]:
    return [fit.p, *fit.intercepts, fit.misfit, fit.points]


def exponents(analysis: Analysis, family: str, factor: float = 1.0) -> Floats:
    """Of the pairs of a family, ``(pair,)``."""
    chosen = analysis["fits"].sel({FAMILY: family, FACTOR: factor, "fit": "p"})
    return np.asarray(chosen.values, np.float64)


def table(analysis: Analysis) -> pd.DataFrame:
    """One row per family and factor of the threshold: mean, interval over pairs, median, misfit."""
    found = analysis["fits"]
    rows: list[dict[str, Any]] = []
    for family in map(str, found[FAMILY].values):
        for factor in map(float, found[FACTOR].values):
            fit = found.sel({FAMILY: family, FACTOR: factor}).transpose(PAIR, "fit").values
            fit = fit[~np.isnan(fit[:, 0])]
            p = positive(lambda values: float(values.mean()), fit[:, 0])
            rows.append(
                {
                    FAMILY: family, "threshold_times": factor, "pairs": len(fit),
                    "p": p.number, "p_low": p.low, "p_high": p.high,
                    "median": float(np.quantile(fit[:, 0], 0.5)) if len(fit) else np.nan,
                    "std": float(fit[:, 0].std()) if len(fit) else np.nan,
                    "misfit": float(fit[:, 3].mean()) if len(fit) else np.nan,
                    "undefined": found.sizes[PAIR] - len(fit),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)
