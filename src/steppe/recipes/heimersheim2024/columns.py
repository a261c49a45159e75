"""Columns of the study's tables: a number and its interval over base prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import (
    censored_median,
    censored_median_interval,
    jackknife,
)
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


def mean_columns(values: Floats, name: str) -> Row:
    """Mean over samples with its interval; further axes are averaged within a sample."""
    parts = jackknife(lambda known: known.mean(known["means"]), {"means": within_samples(values)})
    low, high = parts.interval()
    return {name: parts.number, f"{name}_low": low, f"{name}_high": high}


def within_samples(values: Floats) -> Floats:
    """Mean of what is defined of each sample, ``(sample,)``."""
    per_sample = values.reshape(len(values), -1)
    defined = ~np.isnan(per_sample)
    sums = np.where(defined, per_sample, 0).sum(axis=1)
    means = np.full(len(sums), np.nan)
    np.divide(sums, defined.sum(axis=1), out=means, where=defined.any(axis=1))
    return means


def share_columns(first: Floats, second: Floats, name: str) -> Row:
    """Share of pairs in which the first crosses earlier (ROC area), with its interval."""
    parts = jackknife(
        lambda known: known.earlier(known["first"], known["second"]),
        {"first": first, "second": second},
    )
    low, high = np.clip(parts.interval(), 0, 1)
    return {name: parts.number, f"{name}_low": low, f"{name}_high": high}


def only(row: Row, name: str) -> Row:
    """The number and its interval, without the counts."""
    return {key: value for key, value in row.items() if key.startswith(name)}
