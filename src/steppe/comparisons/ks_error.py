"""How certain a KS statistic is, and a difference of several: by inversion, and by its variance.

The statistic is the largest of many noisy differences, so it lies above the true distance, the more
the smaller that is; a bootstrap doubles this and covers nothing near zero. docs/statistics.md has
what was tried and what each method covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from steppe.comparisons.distributions import Pair
from steppe.comparisons.intervals import Interval, Resamples
from steppe.comparisons.jackknife import Parts

Floats = NDArray[np.float64]
# Differences are looked at in so many places at most: quantiles of both samples together.
_PLACES = 256
# Width (standard deviation, in shares of both samples) over which the shape is smoothed: without,
# the noise of the largest difference would make its peak look sharp and lonely.
_WIDTH = 0.1


@dataclass(frozen=True, eq=False)
class Difference:
    """The difference of two empirical distribution functions of the same samples.

    Attributes:
        pair: Both samples.
        functions: ``(2, place)`` the distribution functions, at every different value.
        ranks: ``(place,)`` where each value is among both samples, from 0 to 1.
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

    @cached_property
    def values(self) -> Floats:
        """``(place,)`` the second function less the first."""
        values: Floats = self.functions[1] - self.functions[0]
        return values

    def influences(self, places: NDArray[np.int64]) -> Floats:
        """``(sample, place)`` what each sample adds to the difference; the mean is 0."""
        added = []
        for codes, function in zip(
            (self.pair.first, self.pair.second), self.functions, strict=True
        ):
            defined = (codes < self.pair.size)[:, None]
            below = (codes[:, None] <= places) - function[places]
            added.append(np.where(defined, below, 0) / max(defined.mean(), 1 / len(codes)))
        influences: Floats = added[1] - added[0]
        return influences

    @property
    def largest(self) -> int:
        """The place of the KS statistic."""
        return int(np.abs(self.values).argmax())

    @property
    def statistic(self) -> float:
        """The KS statistic."""
        return float(np.abs(self.values[self.largest]))

    @property
    def pull(self) -> Floats:
        """``(sample,)`` what each sample adds to the KS statistic, its place held fixed."""
        influences = self.influences(np.array([self.largest]))[:, 0]
        pull: Floats = np.sign(self.values[self.largest]) * influences
        return pull

    @property
    def error(self) -> float:
        """Standard error of the statistic, its place held fixed (Raghavachari 1973)."""
        return _error(self.pull)

    def reach(self, tail: float) -> float:
        """How far above the statistic the distance may lie, with that chance of an error."""
        return -float(stdtrit(len(self.pair.first) - 1, tail)) * self.error

    def agreeing(self, resamples: Resamples) -> Floats:
        """True distances that agree with the statistic: one for every draw of its noise.

        A draw is Gaussian noise of the samples' own covariance, pairs and ties included; it agrees
        with the true distance that, with this noise added, gives the statistic that was found,
        when the true difference has the shape of the found one, smoothed. It is 0 where the noise
        alone gives as much.

        Returns:
            ``(resample,)``, from 0 to 1.
        """
        places = _places(self.values)
        shape = self._smoothed(places)
        size = np.maximum(np.abs(shape) / max(np.abs(shape).max(), 1e-300), 1e-3)
        noise = _noise(self.influences(places), resamples)
        reached = ((self.statistic - np.where(shape < 0, -noise, noise)) / size).min(axis=1)
        alone = np.abs(noise).max(axis=1) >= self.statistic
        agreeing: Floats = np.where(alone, 0.0, np.clip(reached, 0, 1))
        return agreeing

    def _smoothed(self, places: NDArray[np.int64]) -> Floats:
        ranks = self.ranks[places]
        widths = np.gradient(ranks) if len(ranks) > 1 else np.ones(1)
        weights = np.exp(-(((ranks[:, None] - ranks) / _WIDTH) ** 2) / 2) * widths
        smoothed: Floats = weights @ self.values[places] / weights.sum(axis=1)
        return smoothed


def ks_interval(
    values: ArrayLike, reference: ArrayLike, resamples: Resamples, level: float = 0.95
) -> Interval:
    """Interval of the true KS distance between two paired samples.

    The lower end is the distance that noise lifts to the statistic in 2.5% of cases (inversion);
    the upper one takes the statistic's standard error, its place held fixed, and errs on the wide
    side, since the statistic lies above the distance.

    Args:
        values: (sample,) numbers; NaN (undefined) are left out.
        reference: (sample,) numbers of the same samples.
        resamples: How many draws, and from which seed.
        level: Share of intervals that are to hold the true distance.

    Returns:
        The interval. Where its lower end is 0, the statistic is no larger than noise alone makes
        it, and the upper end is an upper bound. NaN with fewer than two defined values on either
        side.
    """
    if _too_few(values, reference):
        return Interval(np.nan, np.nan)
    difference = Difference.of(reference, values)
    tail = (1 - level) / 2
    low = np.quantile(difference.agreeing(resamples), tail)
    return Interval(float(low), min(difference.statistic + difference.reach(tail), 1.0))


class Weighted(NamedTuple):
    """A KS statistic in a sum.

    Attributes:
        values: (sample,) numbers.
        reference: (sample,) numbers of the same samples.
        weight: What the statistic is multiplied with.
    """

    values: ArrayLike
    reference: ArrayLike
    weight: float


def ks_sum(terms: Sequence[Weighted]) -> Parts:
    """A sum of weighted KS statistics, as their difference, with its standard error.

    The statistics' places are held fixed (Raghavachari 1973, Ann. Stat. 1, 67). Where two that
    are subtracted are both near zero this errs on the safe side.

    Args:
        terms: The statistics, all of the same samples.
    """
    samples = len(np.asarray(terms[0].values))
    if any(_too_few(term.values, term.reference) for term in terms):
        return Parts(np.array([[np.nan]]), np.array([[np.nan]]), samples)
    number, pull = 0.0, np.zeros(samples)
    for term in terms:
        difference = Difference.of(term.reference, term.values)
        number += term.weight * difference.statistic
        pull += term.weight * difference.pull
    return Parts(np.array([[number]]), np.array([[_error(pull)]]), samples)


class Closeness(NamedTuple):
    """How far a KS distance lies within a margin.

    Attributes:
        number: Margin minus KS statistic.
        low: Lower end of its 95% interval; positive where the distance is shown to be within.
        high: Upper end; negative where it is shown to be beyond.
        p: Two-sided p-value of a distance at the margin.
    """

    number: float
    low: float
    high: float
    p: float


def ks_within(
    values: ArrayLike, reference: ArrayLike, margin: float, resamples: Resamples
) -> Closeness:
    """Whether two paired samples are within a margin of each other: a test of equivalence.

    Two one-sided tests at 2.5%. That the distance is within takes the statistic and its standard
    error, which errs on the safe side since the statistic lies above the distance; that it is
    beyond takes the lower end of `ks_interval`.

    Args:
        values: (sample,) numbers; NaN (undefined) are left out.
        reference: (sample,) numbers of the same samples.
        margin: Distances up to here count as none.
        resamples: How many draws, and from which seed.
    """
    if _too_few(values, reference):
        return Closeness(np.nan, np.nan, np.nan, np.nan)
    difference = Difference.of(reference, values)
    number, freedom = margin - difference.statistic, len(difference.pair.first) - 1
    agreeing = difference.agreeing(resamples)
    low = number - difference.reach(0.025)
    high = margin - float(np.quantile(agreeing, 0.025, method="inverted_cdf"))
    with np.errstate(divide="ignore", invalid="ignore"):
        within = float(stdtr(freedom, -np.divide(number, difference.error)))
    beyond = max(float((agreeing <= margin).mean()), 1 / (2 * len(agreeing)))
    return Closeness(number, low, high, min(1.0, 2 * min(within, beyond)))


def _places(difference: Floats) -> NDArray[np.int64]:
    """Which places are looked at: all, or quantiles and the largest difference."""
    if len(difference) <= _PLACES:
        return np.arange(len(difference))
    spread = np.linspace(0, len(difference) - 1, _PLACES).round().astype(np.int64)
    return np.union1d(spread, [np.abs(difference).argmax()])


def _noise(influences: Floats, resamples: Resamples) -> Floats:
    """``(resample, place)`` Gaussian noise of the covariance of means of the influences."""
    covariance = influences.T @ influences / len(influences) ** 2
    variances, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(np.maximum(variances, 0))).T
    generator = np.random.Generator(np.random.Philox(resamples.seed))
    noise: Floats = generator.standard_normal((resamples.count, len(root))) @ root
    return noise


def _error(pull: Floats) -> float:
    return float(np.sqrt((pull**2).sum() / max(len(pull) - 1, 1) / len(pull)))


def _too_few(*samples: ArrayLike) -> bool:
    return any((~np.isnan(np.asarray(values, dtype=np.float64))).sum() < 2 for values in samples)
