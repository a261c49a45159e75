"""How kinds differ: distributions, intervals, tables, and ours beside the published numbers."""

from steppe.comparisons.distributions import ks_null_band, ks_statistic
from steppe.comparisons.intervals import (
    Interval,
    Resamples,
    corrected_interval,
    ks_interval,
    mean_interval,
)
from steppe.comparisons.published import beside, read_published
from steppe.comparisons.summary import compare

__all__ = [
    "Interval",
    "Resamples",
    "beside",
    "compare",
    "corrected_interval",
    "ks_interval",
    "ks_null_band",
    "ks_statistic",
    "mean_interval",
    "read_published",
]
