"""How certain a KS statistic is, and a sum of several: by inversion.

The statistic is the largest of many noisy differences, so it lies above the true distance, the more
the smaller that is; a bootstrap doubles this and covers nothing near zero. docs/statistics.md has
what was tried and what each method covers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from steppe.comparisons.differences import Difference, noise
from steppe.comparisons.intervals import Interval, Resamples

Floats = NDArray[np.float64]
LEVEL = 0.95
# Ends of intervals are found to a range of distances over 2 to so many.
_HALVINGS = 12
# Below so many samples a binomial number is skewed too much to be taken for normal.
_FEW = 20


class Weighted(NamedTuple):
    """A KS statistic in a sum.

    Attributes:
        values: (sample,) numbers.
        reference: (sample,) numbers of the same samples.
        weight: What the statistic is multiplied with; not 0.
    """

    values: ArrayLike
    reference: ArrayLike
    weight: float = 1.0


class KsTest(NamedTuple):
    """A number that was tested against zero.

    Attributes:
        number: The number.
        low: Lower end of its interval (95% unless another level is asked for); positive where the
            number is shown to be.
        high: Upper end; negative where the number is shown to be.
        p: Two-sided p-value of zero, from draws: it and the interval decide alike, at most 0.05
            where the interval leaves zero out. It has the draws' own error and is never below
            2 / (resamples + 1), since so many draws tell no smaller one.
    """

    number: float
    low: float
    high: float
    p: float


def ks_interval(
    values: ArrayLike, reference: ArrayLike, resamples: Resamples, level: float = LEVEL
) -> Interval:
    """Interval of the true KS distance between two paired samples.

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
    return _one(values, reference, resamples).interval(0.0, level)


def ks_sum(terms: Sequence[Weighted], resamples: Resamples, level: float = LEVEL) -> KsTest:
    """Test a sum of weighted KS statistics, as their difference.

    Args:
        terms: The statistics, all of the same samples.
        resamples: How many draws, and from which seed.
        level: Of the interval.
    """
    if any(_too_few(term.values, term.reference) for term in terms):
        return KsTest(*[float("nan")] * 4)
    found = _several(terms, resamples)
    return KsTest(found.number, *found.interval(0.0, level), found.p_value(0.0))


def ks_within(
    values: ArrayLike,
    reference: ArrayLike,
    margin: float,
    resamples: Resamples,
    level: float = LEVEL,
) -> KsTest:
    """Whether two paired samples are within a margin of each other: a test of equivalence.

    Two one-sided tests at 2.5% of the margin minus the KS distance.

    Args:
        values: (sample,) numbers; NaN (undefined) are left out.
        reference: (sample,) numbers of the same samples.
        margin: Distances up to here count as none.
        resamples: How many draws, and from which seed.
        level: Of the interval.
    """
    if _too_few(values, reference):
        return KsTest(*[float("nan")] * 4)
    found = _one(values, reference, resamples)
    low, high = found.interval(margin, level)
    return KsTest(margin - found.number, margin - high, margin - low, found.p_value(margin))


@dataclass(frozen=True)
class _Inversion:
    """A number, and with which true ones it agrees.

    Attributes:
        number: What was found.
        limits: Least and largest that it can be.
        samples: How many samples it is of.
        chances: From a true number to the chances of one as large as was found, and as small.
    """

    number: float
    limits: tuple[float, float]
    samples: int
    chances: Callable[[float], tuple[float, float]]

    def interval(self, decisive: float, level: float) -> Interval:
        """True numbers that agree with the found one.

        Args:
            decisive: A number that is tried itself, so that it lies within where its `p_value` is
                above 1 - ``level``; the ends are near, but for the last halving.
            level: Share of intervals that are to hold the true number.
        """
        low, high = (self._end(side, decisive, (1 - level) / 2) for side in (0, 1))
        return Interval(low, high)

    def p_value(self, true: float) -> float:
        """Two-sided p-value of a true number."""
        return min(1.0, 2 * min(self._tails(true)))

    def _tails(self, true: float) -> tuple[float, float]:
        """The chances; what lies on the other side of ``true`` is no evidence against it."""
        # No evidence in samples of equal signs is stronger than that all signs are the same.
        above, below = (max(chance, 0.5**self.samples) for chance in self.chances(true))
        return above if true < self.number else 1.0, below if true > self.number else 1.0

    def _end(self, side: int, decisive: float, tail: float) -> float:
        """The last number that agrees, from the found one on to a limit; ``decisive`` is tried."""
        out, into = self.limits[side], self.number
        tried = float(np.clip(decisive, min(out, into), max(out, into)))
        for _ in range(_HALVINGS):
            if self._tails(tried)[side] > tail:
                into = tried
            else:
                out = tried
            tried = (out + into) / 2
        return into


class _Statistic:
    """A KS statistic, and what it would be with another true distance.

    A draw is the largest of noise added to a true difference of some shape.
    """

    def __init__(self, difference: Difference, noise: Floats) -> None:
        self.number, self.largest = difference.statistic, difference.largest
        self.samples = difference.samples
        # It counts in steps, and stands for all that is up to half a step away.
        self.half_step = 0.5 / difference.samples if noise.any() else 0.0
        self._noise, self._alone = noise, np.abs(noise).max(axis=1)

    @property
    def is_lost(self) -> bool:
        """Whether noise alone gives as much."""
        return _share(self._alone >= self.largest - self.half_step) > (1 - LEVEL) / 2

    def drawn(self, shape: Floats, distance: float) -> Floats:
        """``(resample,)`` statistics, were the true distance ``distance``."""
        largest: Floats = np.abs(distance * shape + self._noise).max(axis=1)
        return largest

    def reaching(self, shape: Floats, statistic: float) -> Floats:
        """``(resample,)`` the true distance with which each draw comes to a statistic."""
        along = np.where(shape < 0, -self._noise, self._noise)
        reaching = ((statistic - along) / np.maximum(np.abs(shape), 1e-3)).min(axis=1)
        distances: Floats = np.where(self._alone >= statistic, 0.0, np.maximum(reaching, 0))
        return distances


def _one(values: ArrayLike, reference: ArrayLike, resamples: Resamples) -> _Inversion:
    """The distance of two samples."""
    difference = Difference.of(reference, values)
    statistic = _Statistic(difference, *noise([difference], resamples))
    # The more places of a shape noise can lift, the lower is the upper end: the smoothed one has
    # too many, and one that is all noise by far too many.
    lost, step = statistic.is_lost, statistic.half_step
    sooner = statistic.reaching(difference.shape, statistic.largest - step)
    sharp = difference.peak if lost else difference.sharp
    later = statistic.reaching(sharp, statistic.largest + step)
    moved = round(statistic.samples * statistic.number)

    def chances(true: float) -> tuple[float, float]:
        # Over the place of the distance a sample is moved with at least that chance. Where few or
        # none were, normal noise is too small, or there is none.
        few = float(bdtr(moved, statistic.samples, true)) if moved < _FEW else 0.0
        return _share(sooner <= true), max(_share(later >= true), few)

    return _Inversion(statistic.number, (0.0, 1.0), statistic.samples, chances)


def _several(terms: Sequence[Weighted], resamples: Resamples) -> _Inversion:
    """A sum of distances, each as near as can be to its own estimate."""
    differences = [Difference.of(term.reference, term.values) for term in terms]
    statistics = [
        _Statistic(*each) for each in zip(differences, noise(differences, resamples), strict=True)
    ]
    # Blunt ones vary too little.
    shapes = [difference.sharp for difference in differences]
    estimates = np.array(
        [
            each.reaching(shape, each.largest).mean()
            for each, shape in zip(statistics, shapes, strict=True)
        ]
    )
    weights = np.array([term.weight for term in terms], dtype=np.float64)
    number = float(weights @ [each.number for each in statistics])
    largest = float(weights @ [each.largest for each in statistics])
    half_step = max(abs(w) * each.half_step for w, each in zip(weights, statistics, strict=True))

    def chances(true: float) -> tuple[float, float]:
        distances = _moved(estimates, weights, true)
        drawn = np.zeros(resamples.count)
        for each, shape, distance, weight in zip(
            statistics, shapes, distances, weights, strict=True
        ):
            drawn += weight * each.drawn(shape, distance)
        return _share(drawn >= largest - half_step), _share(drawn <= largest + half_step)

    limits = float(np.minimum(weights, 0).sum()), float(np.maximum(weights, 0).sum())
    return _Inversion(number, limits, min(each.samples for each in statistics), chances)


def _moved(distances: Floats, weights: Floats, total: float) -> Floats:
    """The nearest distances, from 0 to 1, whose weighted sum is the total."""
    ends = np.sort(np.concatenate([(end - distances) / weights for end in (0, 1)]))
    sums = np.clip(distances + ends[:, None] * weights, 0, 1) @ weights
    moved: Floats = np.clip(distances + np.interp(total, sums, ends) * weights, 0, 1)
    return moved


def _share(draws: NDArray[np.bool_]) -> float:
    """Share of draws, what was found being one of them."""
    return float((1 + draws.sum()) / (1 + len(draws)))


def _too_few(*samples: ArrayLike) -> bool:
    return any((~np.isnan(np.asarray(values, dtype=np.float64))).sum() < 2 for values in samples)
