"""Averages of curves."""

from __future__ import annotations

import xarray as xr

from steppe.core.axes import SAMPLE


def mean_curves(curves: xr.DataArray) -> xr.DataArray:
    """Mean over the samples at every step, without those that are NaN there.

    The attribute ``n`` is the number of samples.
    """
    mean = curves.mean(SAMPLE, skipna=True, keep_attrs=True)
    return mean.assign_attrs(n=curves.sizes[SAMPLE])
