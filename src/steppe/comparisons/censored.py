"""How do crossings compare where some never happen? A censored one is infinite: later than any.

Ranks need no more than that: a median is known while fewer than half are censored, and the share of
pairs in which one crosses before the other is known always. NaN is undefined, and left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.comparisons.intervals import Interval, Resamples


def as_ranked(values: ArrayLike, censored: ArrayLike) -> NDArray[np.float64]:
    """Crossings with infinity where they never happen.

    Args:
        values: Crossings; NaN where there is none.
        censored: Of the same shape: whether there is none because the level is never reached.
    """
    return np.where(np.asarray(censored), np.inf, np.asarray(values, dtype=np.float64))


def ranked_median(values: ArrayLike) -> float:
    """Median of crossings; infinite when it is beyond the path, NaN when nothing is defined."""
    defined = _defined(values)
    # Of two middle ones the later: a mean with infinity would be none.
    middle = len(defined) // 2
    return float(np.partition(defined, middle)[middle]) if len(defined) else float("nan")


def censored_median(values: ArrayLike) -> float:
    """Median of crossings; NaN when it is beyond the path, or nothing is defined."""
    middle = ranked_median(values)
    return middle if np.isfinite(middle) else float("nan")


def censored_median_interval(
    values: ArrayLike, resamples: Resamples, level: float = 0.95
) -> Interval:
    """Percentile interval of the median over samples.

    Args:
        values: ``(sample, ...)`` crossings; all of a sample are drawn together.
        resamples: Which samples are drawn.
        level: Share of intervals that are to hold the true median.

    Returns:
        The interval; NaN at an end that lies beyond the path.
    """
    numbers = np.asarray(values, dtype=np.float64)
    drawn = _defined(
        [
            ranked_median(numbers[chosen])
            for block in resamples.blocks(width=numbers[:1].size)
            for chosen in block
        ]
    )
    if not len(drawn):
        return Interval(np.nan, np.nan)
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    low, high = np.where(np.isfinite(ends), ends, np.nan)
    return Interval(float(low), float(high))


def earlier_share(first: ArrayLike, second: ArrayLike) -> float:
    """Share of pairs in which the first comes earlier; ties, censored ones too, count half.

    This is the area under the receiver operating characteristic of a threshold on the crossing.

    Args:
        first: Crossings of any shape.
        second: Crossings of any shape; every one is paired with every one of ``first``.

    Returns:
        From 0 to 1; 0.5 where the two do not differ. NaN where either has nothing defined.
    """
    one, other = _defined(first), _defined(second)
    if not len(one) or not len(other):
        return float("nan")
    other = np.sort(other)
    not_later = np.searchsorted(other, one, "left") + np.searchsorted(other, one, "right")
    return 1 - float(not_later.mean()) / (2 * len(other))


def earlier_within(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Whether each first crossing comes before the second of the same sample.

    Args:
        first: Crossings of any shape.
        second: Crossings of the same samples, one to one.

    Returns:
        1 where it does, 0 where not; one half for a tie, of censored ones too; NaN where either is
        undefined. The mean is the share of samples.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    wins = np.where(one < other, 1.0, np.where(one == other, 0.5, 0.0))
    return np.where(np.isnan(one) | np.isnan(other), np.nan, wins)


def roc_curve(
    first: ArrayLike, second: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of second and first that cross by then, for every threshold from 0 to beyond the path.

    Args:
        first: The class that is to be found by its early crossing.
        second: The other class.

    Returns:
        False-positive and true-positive shares, both from 0 to 1. Censored ones come last, at once.
    """
    one, other = np.sort(_defined(first)), np.sort(_defined(second))
    levels = np.unique(np.concatenate([one, other]))
    found = [
        np.concatenate([[0.0], np.searchsorted(values, levels, side="right") / max(len(values), 1)])
        for values in (other, one)
    ]
    return found[0], found[1]


def _defined(values: ArrayLike) -> NDArray[np.float64]:
    numbers = np.asarray(values, dtype=np.float64).ravel()
    return numbers[~np.isnan(numbers)]
