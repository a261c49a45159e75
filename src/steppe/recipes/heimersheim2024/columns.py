"""Columns of the study's tables: a number and its interval over base prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import (
    censored_median,
    censored_median_interval,
    earlier_share,
    mean_interval,
)
from steppe.recipes.deciding import decide
from steppe.recipes.heimersheim2024.analysis import Analysis

Floats = NDArray[np.float64]
Row = dict[str, Any]


def crossing_columns(analysis: Analysis, crossings: Floats, name: str = "crossing") -> Row:
    """Median crossing with its interval, how many there are, and how many never cross."""
    drawn = analysis.resamples(name, len(crossings))
    low, high = censored_median_interval(crossings, drawn)
    return {
        "n": int((~np.isnan(crossings)).sum()),
        name: censored_median(crossings),
        f"{name}_low": low,
        f"{name}_high": high,
        "never": int(np.isinf(crossings).sum()),
    }


def mean_columns(analysis: Analysis, values: Floats, name: str) -> Row:
    """Mean over samples with its interval; further axes are averaged within a sample."""
    per_sample = values.reshape(len(values), -1)
    defined = ~np.isnan(per_sample)
    sums = np.where(defined, per_sample, 0).sum(axis=1)
    means = np.divide(
        sums, defined.sum(axis=1), out=np.full(len(sums), np.nan), where=defined.any(axis=1)
    )
    low, high = mean_interval(means, analysis.resamples(name, len(means)))
    known = means[~np.isnan(means)]
    mean = float(known.mean()) if len(known) else float("nan")
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def share_columns(analysis: Analysis, first: Floats, second: Floats, name: str) -> Row:
    """Share of pairs in which the first crosses earlier (ROC area), with its interval."""
    drawn = analysis.resamples(name, len(first))
    found = decide(
        lambda v: earlier_share(v["first"], v["second"]), {"first": first, "second": second}, drawn
    )
    return {name: found.number, f"{name}_low": found.low, f"{name}_high": found.high}


def only(row: Row, name: str) -> Row:
    """The number and its interval, without the counts."""
    return {key: value for key, value in row.items() if key.startswith(name)}
