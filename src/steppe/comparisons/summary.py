"""One row per kind and mode: mean, spread, and KS against real, with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons.distributions import ks_statistic
from steppe.comparisons.intervals import Interval, Resamples, mean_interval
from steppe.comparisons.ks_error import ks_interval
from steppe.core.axes import CONTEXT, KIND, MODE, SAMPLE
from steppe.core.errors import InputError

GROUPS = (MODE, CONTEXT)
NUMBERS = ["n", "mean", "std", "ks", "mean_low", "mean_high", "ks_low", "ks_high"]
BOUND = "ks_is_upper_bound"


def compare(
    steps: xr.DataArray,
    *,
    generator: np.random.Generator,
    reference: str = "real",
    resamples: int = 2000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Summarise a statistic's steps per kind, within each mode or context.

    Args:
        steps: Dimensions kind, sample, and mode or context if there are several; NaN where a
            curve's step is undefined.
        generator: Where the resamples come from. Every row uses the same ones, so a further kind
            changes no other row.
        reference: The kind that the others are compared with, within the same mode or context.
        resamples: Bootstrap resamples behind each interval.
        level: Share of intervals that are to hold the true value.

    Returns:
        Columns kind, mode (or context), n, mean, std (of the population, ddof 0), ks, mean_low,
        mean_high, ks_low, ks_high, ks_is_upper_bound (the KS is no larger than noise makes it:
        ks_low is 0, and ks_high bounds it), undefined (samples left out because their step is NaN).

    Raises:
        InputError: Dimensions are missing or too many, or the reference is not among the kinds.
    """
    group = _group(steps)
    kinds = [str(kind) for kind in steps[KIND].values]
    if reference not in kinds:
        raise InputError(
            "reference kind",
            got=repr(reference),
            expected=f"one of {', '.join(kinds)}",
            fix="measure it too, or compare with another kind",
        )
    drawn = Resamples.draw(steps.sizes[SAMPLE], resamples, generator)
    rows = []
    for label in [None] if group is None else list(steps[group].values):
        part = steps if group is None else steps.sel({group: label})
        against = part.sel({KIND: reference}).values
        for kind in kinds:
            values = part.sel({KIND: kind}).values
            row = _row(values, None if kind == reference else against, drawn, level)
            named = {} if group is None else {group: str(label)}
            rows.append({"kind": kind, **named, **row})
    columns = [KIND, *([group] if group else []), *NUMBERS, BOUND, "undefined"]
    return pd.DataFrame(rows, columns=columns)


def _row(
    values: NDArray[np.float64], other: NDArray[np.float64] | None, drawn: Resamples, level: float
) -> dict[str, float | int]:
    defined = values[~np.isnan(values)]
    mean = mean_interval(values, drawn, level)
    reference = values if other is None else other
    # From itself a kind is at no distance, whatever others may come.
    itself = other is None and len(defined) > 1
    ks = Interval(0.0, 0.0) if itself else ks_interval(values, reference, drawn, level)
    return {
        "n": len(defined),
        "mean": float(defined.mean()) if len(defined) else np.nan,
        "std": float(defined.std()) if len(defined) else np.nan,
        "ks": ks_statistic(values, reference),
        "mean_low": mean.low,
        "mean_high": mean.high,
        "ks_low": ks.low,
        "ks_high": ks.high,
        BOUND: ks.low == 0 < ks.high,
        "undefined": len(values) - len(defined),
    }


def _group(steps: xr.DataArray) -> str | None:
    groups = [str(dim) for dim in steps.dims if dim not in (KIND, SAMPLE)]
    if not {KIND, SAMPLE} <= set(steps.dims) or len(groups) > 1 or not set(groups) <= set(GROUPS):
        raise InputError(
            "steps to compare",
            got=f"dimensions {', '.join(map(str, steps.dims)) or 'none'}",
            expected="kind and sample, and at most one of mode and context",
            fix="select one statistic and metric first",
        )
    return groups[0] if groups else None
