"""Intervals of a mean: bootstrap over samples, the same ones for every kind.

A kind and the reference are measured from the same bases, so a resample takes both values of a
sample or neither (paired). KS statistics, which a bootstrap does not serve, are in `ks_error`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

# Numbers held at once by a block of resamples.
_BLOCK = 2_000_000


class Interval(NamedTuple):
    """Both ends of an interval, in the unit of the quantity."""

    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """Samples drawn with replacement, the same ones each time they are asked for.

    Attributes:
        samples: How many samples there are, and how many are drawn.
        count: How many times they are drawn.
        seed: Where the draws come from.
    """

    samples: int
    count: int
    seed: int

    @classmethod
    def draw(cls, samples: int, count: int, generator: np.random.Generator) -> Resamples:
        """Fix the resamples by one number of ``generator``."""
        return cls(samples, count, int(generator.integers(2**63)))

    def blocks(self, width: int = 1) -> Iterator[NDArray[np.int32]]:
        """Indices (resample, sample), a block at a time, for work ``width`` times as wide."""
        generator = np.random.Generator(np.random.Philox(self.seed))
        per_block = max(1, _BLOCK // max(self.samples, width))
        for start in range(0, self.count, per_block):
            size = (min(per_block, self.count - start), self.samples)
            yield generator.integers(self.samples, size=size, dtype=np.int32)


def mean_interval(values: ArrayLike, resamples: Resamples, level: float = 0.95) -> Interval:
    """Interval of the mean over samples.

    Args:
        values: (sample,) numbers; NaN (undefined) are left out of every mean.
        resamples: Which samples are drawn.
        level: Share of intervals that are to hold the true mean.

    Returns:
        The interval; NaN with fewer than two defined values.
    """
    numbers = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(numbers)
    filled = np.where(defined, numbers, 0)
    if defined.sum() < 2:
        return Interval(np.nan, np.nan)
    every = bool(defined.all())
    drawn = [
        ratio(filled[i].sum(axis=1), len(filled) if every else defined[i].sum(axis=1))
        for i in resamples.blocks()
    ]
    mean = float(numbers[defined].mean())
    away = numbers[defined] - mean
    spread = float((away**2).sum()) ** 1.5
    acceleration = float((away**3).sum()) / (6 * spread) if spread > 0 else 0.0
    return corrected_interval(mean, np.concatenate(drawn), level, acceleration)


def corrected_interval(
    estimate: float, drawn: NDArray[np.float64], level: float, acceleration: float = 0.0
) -> Interval:
    """Bias-corrected and accelerated interval (BCa; Efron 1987, J. Am. Stat. Assoc. 82, 171).

    Args:
        estimate: The quantity of the samples themselves.
        drawn: (resample,) the quantity of each resample; NaN are left out.
        level: Share of intervals that are to hold the true quantity.
        acceleration: How fast the quantity's spread changes with its value; 0 corrects bias only.

    Returns:
        The interval; NaN where the quantity is undefined.
    """
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(estimate) or not len(drawn):
        return Interval(np.nan, np.nan)
    bias = _bias(estimate, drawn)
    tails = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(drawn, ndtr(bias + tails / (1 - acceleration * tails)))
    return Interval(float(low), float(high))


def _bias(estimate: float, drawn: NDArray[np.float64]) -> float:
    below = (drawn < estimate).mean() + (drawn == estimate).mean() / 2
    edge = 0.5 / len(drawn)
    return float(ndtri(np.clip(below, edge, 1 - edge)))


def ratio(sums: ArrayLike, counts: ArrayLike) -> NDArray[np.float64]:
    """Sums over counts, in the shape of the sums; NaN where nothing was counted."""
    ratios = np.full(np.shape(sums), np.nan)
    np.divide(sums, counts, out=ratios, where=np.asarray(counts) > 0)
    return ratios
