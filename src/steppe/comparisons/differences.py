"""The difference of two empirical distribution functions, its noise, and its largest value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steppe.comparisons.distributions import Pair
from steppe.comparisons.intervals import Resamples

Floats = NDArray[np.float64]
# Differences are looked at in so many places at most: quantiles of both samples together.
_PLACES = 128
# Width (standard deviation, in shares of both samples) over which the shape is smoothed: without,
# the noise of the largest difference would make its peak look sharp and lonely.
_WIDTH = 0.1


@dataclass(frozen=True, eq=False)
class Difference:
    """The difference of two empirical distribution functions of the same samples.

    Attributes:
        pair: Both samples.
        functions: ``(2, value)`` the distribution functions, at every different value.
        ranks: ``(value,)`` where each value is among both samples, from 0 to 1.
    """

    pair: Pair
    functions: Floats
    ranks: Floats

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike) -> Difference:
        """Take the second less the first; NaN are left out of the one they are missing from."""
        pair = Pair.of(first, second)
        counts = np.stack([pair.counts(pair.first), pair.counts(pair.second)])
        totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        both = counts.sum(axis=0)
        ranks = (np.cumsum(both) - both / 2) / totals.sum()
        return cls(pair, np.cumsum(counts, axis=1) / totals, ranks)

    @property
    def samples(self) -> int:
        """How many samples there are evidence of: the fewer defined ones of both."""
        return min(int((c < self.pair.size).sum()) for c in (self.pair.first, self.pair.second))

    @cached_property
    def values(self) -> Floats:
        """``(value,)`` the second function less the first."""
        values: Floats = self.functions[1] - self.functions[0]
        return values

    @property
    def statistic(self) -> float:
        """The KS statistic: the largest difference."""
        return float(np.abs(self.values).max())

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """``(place,)`` which values are looked at: all, or quantiles."""
        count = len(self.values)
        return np.linspace(0, count - 1, min(count, _PLACES)).round().astype(np.int64)

    @property
    def largest(self) -> float:
        """The largest difference at the places; noise is drawn there and nowhere else."""
        return float(np.abs(self.values[self.places]).max())

    @cached_property
    def shape(self) -> Floats:
        """``(place,)`` the difference, smoothed, its largest value 1 or -1."""
        ranks = self.ranks[self.places]
        widths = np.gradient(ranks) if len(ranks) > 1 else np.ones(1)
        weights = np.exp(-(((ranks[:, None] - ranks) / _WIDTH) ** 2) / 2) * widths
        smoothed: Floats = weights @ self.values[self.places] / weights.sum(axis=1)
        largest = np.abs(smoothed).max()
        return smoothed / largest if largest > 0 else np.ones_like(smoothed)

    @property
    def sharp(self) -> Floats:
        """``(place,)`` the shape's square: smoothing makes it blunter than the true one may be."""
        shape = self.shape
        return shape * np.abs(shape)

    @property
    def peak(self) -> Floats:
        """``(place,)`` a shape that differs at the place of the largest difference only."""
        difference = self.values[self.places]
        at = np.abs(difference).argmax()
        return np.where(np.arange(len(difference)) == at, np.copysign(1.0, difference[at]), 0.0)

    @property
    def influences(self) -> Floats:
        """``(sample, place)`` what each sample adds to the difference; the mean is 0."""
        added = []
        for codes, function in zip(
            (self.pair.first, self.pair.second), self.functions, strict=True
        ):
            defined = (codes < self.pair.size)[:, None]
            below = (codes[:, None] <= self.places) - function[self.places]
            added.append(np.where(defined, below, 0) / max(defined.mean(), 1 / len(codes)))
        influences: Floats = added[1] - added[0]
        return influences


def noise(differences: Sequence[Difference], resamples: Resamples) -> list[Floats]:
    """Draw noise of the covariance that the samples have: pairs, ties and missing values included.

    It is multivariate t of samples - 1 degrees of freedom, since the covariance is an estimate.

    Returns:
        For each difference ``(resample, place)``; draws of all belong together.
    """
    influences = np.concatenate([difference.influences for difference in differences], axis=1)
    freedom = max(min(difference.samples for difference in differences) - 1, 1)
    covariance = influences.T @ influences / (len(influences) * max(len(influences) - 1, 1))
    variances, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(np.maximum(variances, 0))).T
    generator = np.random.Generator(np.random.Philox(resamples.seed))
    drawn = generator.standard_normal((resamples.count, len(root))) @ root
    drawn *= np.sqrt(freedom / generator.chisquare(freedom, size=(resamples.count, 1)))
    ends = np.cumsum([len(difference.places) for difference in differences])
    return np.split(drawn, ends[:-1], axis=1)
