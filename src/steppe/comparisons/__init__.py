"""How kinds differ: distributions, intervals, tables, and ours beside the published numbers."""

from steppe.comparisons.censored import (
    as_ranked,
    censored_median,
    censored_median_interval,
    earlier_share,
    earlier_within,
    ranked_median,
    roc_curve,
)
from steppe.comparisons.distributions import ks_statistic
from steppe.comparisons.intervals import (
    Interval,
    Resamples,
    corrected_interval,
    mean_interval,
    ratio,
)
from steppe.comparisons.jackknife import Parts, Sampled, both_sides, jackknife, parts_of
from steppe.comparisons.ks_error import KsTest, Weighted, ks_interval, ks_sum, ks_within
from steppe.comparisons.multiplicity import holm
from steppe.comparisons.published import beside, read_published
from steppe.comparisons.sequential import look_levels, sequential_p
from steppe.comparisons.summary import compare

__all__ = [
    "Interval",
    "KsTest",
    "Parts",
    "Resamples",
    "Sampled",
    "Weighted",
    "as_ranked",
    "beside",
    "both_sides",
    "censored_median",
    "censored_median_interval",
    "compare",
    "corrected_interval",
    "earlier_share",
    "earlier_within",
    "holm",
    "jackknife",
    "ks_interval",
    "ks_statistic",
    "ks_sum",
    "ks_within",
    "look_levels",
    "mean_interval",
    "parts_of",
    "ranked_median",
    "ratio",
    "read_published",
    "roc_curve",
    "sequential_p",
]
