"""The error of a smooth number of paired samples, by leaving out one sample at a time.

For means, shares, areas under ROC curves and smooth functions of them. Not for quantiles,
maxima and KS statistics, which do not change smoothly as a sample is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from steppe.comparisons.intervals import Interval, ratio

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Numbers with standard errors that together decide a statement.

    The statement is that *in every row some number is positive*: one number is a plain statement, a
    column of several says that all are positive, a row that some is. An equivalence is a column:
    margin minus number, margin plus number.

    Attributes:
        numbers: ``(row, column)``.
        errors: Their standard errors.
        samples: How many samples they are of.
    """

    numbers: Floats
    errors: Floats
    samples: int

    @property
    def number(self) -> float:
        """Positive where the statement holds: the least over rows of the largest of each."""
        return float(self.numbers.max(axis=1).min())

    def interval(self, level: float = 0.95) -> Interval:
        """Interval of `number`: it lies above zero where the statement is shown, below where not.

        All of a column have to be shown, each at the level (intersection-union test; Berger 1982,
        Technometrics 24, 295), some one of a row at the level over their number (Bonferroni);
        and the reverse for the opposite statement.
        """
        if self._undefined:
            return Interval(np.nan, np.nan)
        rows, columns = self.numbers.shape
        tail = (1 - level) / 2
        low = self.numbers - self._reach(tail / columns)
        high = self.numbers + self._reach(tail / rows)
        return Interval(float(low.max(axis=1).min()), float(high.max(axis=1).min()))

    def each(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper ends of an interval of every number by itself."""
        reach = self._reach((1 - level) / 2)
        return self.numbers - reach, self.numbers + reach

    def p_value(self) -> float:
        """Two-sided: with the interval of level 0.95 it decides alike, up to rounding."""
        if self._undefined:
            return float("nan")
        rows, columns = self.numbers.shape
        with np.errstate(divide="ignore", invalid="ignore"):
            # Zero by zero is no evidence.
            scores = np.where(self.numbers == 0, 0.0, self.numbers / self.errors)
        above = np.maximum(stdtr(self.samples - 1, -scores), self._least_tail)
        below = np.maximum(stdtr(self.samples - 1, scores), self._least_tail)
        shown = (columns * above.min(axis=1)).max()
        opposite = (rows * below.max(axis=1)).min()
        return float(min(1.0, 2 * min(shown, opposite)))

    @property
    def _undefined(self) -> bool:
        return self.samples < 2 or bool(np.isnan(self.numbers + self.errors).any())

    @property
    def _least_tail(self) -> float:
        """No evidence in samples of equal signs is stronger than that all signs are the same."""
        return 0.5**self.samples

    def _reach(self, tail: float) -> Floats:
        if tail < self._least_tail:
            return np.full(self.errors.shape, np.inf)
        reach: Floats = -stdtrit(self.samples - 1, tail) * self.errors
        return reach


class Sampled:
    """Values of samples, and their means: of all samples, or of all but each one.

    A function of means that is written for the one gives the other, too, with a leading axis.

    Args:
        values: By name, ``(sample, ...)``: of the same samples.
        without_each: Whether means leave out each sample in turn.
    """

    def __init__(self, values: Mapping[str, NDArray[Any]], *, without_each: bool = False) -> None:
        self._values = values
        self._without_each = without_each

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._values[name]

    def mean(self, values: NDArray[Any]) -> Floats:
        """Mean over everything that is defined of ``(sample, ...)``; ``()``, or ``(sample,)``."""
        rows = values.reshape(len(values), -1)
        defined = ~np.isnan(rows)
        sums, counts = np.where(defined, rows, 0.0).sum(axis=1), defined.sum(axis=1)
        return ratio(self._total(sums), self._total(counts))

    def means(self, values: NDArray[Any]) -> Floats:
        """Mean over samples at every place of ``(sample, place)``; a leading axis for samples."""
        return self._total(values) / (len(values) - self._without_each)

    def earlier(self, first: NDArray[Any], second: NDArray[Any]) -> Floats:
        """`earlier_share` of ``(sample, ...)`` crossings: all of a sample are left out together."""
        one, other = (array.reshape(len(array), -1) for array in (first, second))
        # Twice the pairs that are won, a tie being half a win; and twice all pairs.
        wins = self._pairs(_wins(one, other), _wins(-other, -one), _own_wins(one, other))
        known = [(~np.isnan(array)).sum(axis=1).astype(np.float64) for array in (one, other)]
        own = known[0] * known[1]
        pairs = self._pairs(known[0] * known[1].sum(), known[1] * known[0].sum(), own)
        return ratio(wins, 2 * pairs)

    def _total(self, values: NDArray[Any]) -> Floats:
        total: Floats = values.sum(axis=0, dtype=np.float64)
        return total - values if self._without_each else total

    def _pairs(self, rows: Floats, columns: Floats, own: Floats) -> Floats:
        """Sum over pairs of samples, from those of each sample as first, as second, and as both."""
        total = np.asarray(rows.sum())
        return total - rows - columns + own if self._without_each else total


Number = Callable[[Sampled], ArrayLike]


def jackknife(number: Number, values: Mapping[str, Any]) -> Parts:
    """Compute a number, and its standard error over samples.

    Args:
        number: From `Sampled` values to one number, or to ``(row, column)`` as in `Parts`, behind
            the axis of the sample that is left out; NaN where it is undefined.
        values: What it is computed from, each ``(sample, ...)``: of the same samples.

    Returns:
        The numbers; samples in which nothing is defined are not counted.
    """
    known = {key: np.asarray(array, dtype=np.float64) for key, array in values.items()}
    defined = np.any([~_empty(array) for array in known.values()], axis=0)
    known = {key: array[defined] for key, array in known.items()}
    if not defined.any():
        return Parts(np.array([[np.nan]]), np.array([[np.nan]]), 0)
    whole, left = (number(Sampled(known, without_each=each)) for each in (False, True))
    return parts_of(np.asarray(whole, dtype=np.float64), np.asarray(left, dtype=np.float64))


def parts_of(whole: Floats, left: Floats) -> Parts:
    """Numbers with their errors, from what they are as each sample is left out.

    Args:
        whole: One number, or ``(...)``.
        left: ``(sample, ...)``; the error is the square root of the jackknife's variance (Tukey
            1958, Ann. Math. Stat. 29, 614).
    """
    count = len(left)
    away = left - left.mean(axis=0)
    errors = np.sqrt((count - 1) / count * (away**2).sum(axis=0))
    if whole.ndim == 0:
        whole, errors = whole.reshape(1, 1), np.reshape(errors, (1, 1))
    return Parts(whole, errors, count)


def both_sides(margin: ArrayLike, number: ArrayLike) -> Floats:
    """That a number lies less than a margin from zero on either side, as a column of `Parts`."""
    sides: Floats = np.stack([np.subtract(margin, number), np.add(margin, number)], axis=-1)
    return sides[..., None]


def _wins(first: Floats, second: Floats) -> Floats:
    """Twice the pairs that each sample's firsts come before any second in, ``(sample,)``."""
    others = np.sort(second[~np.isnan(second)])
    sides: tuple[Literal["left", "right"], ...] = ("left", "right")
    later = [len(others) - np.searchsorted(others, first, side) for side in sides]
    twice = np.where(np.isnan(first), 0, later[0] + later[1])
    wins: Floats = twice.sum(axis=1, dtype=np.float64)
    return wins


def _own_wins(first: Floats, second: Floats) -> Floats:
    """The same of pairs within each sample."""
    one, other = first[:, :, None], second[:, None, :]
    # A comparison with NaN is never true.
    wins: Floats = ((one < other).astype(np.float64) + (one <= other)).sum(axis=(1, 2))
    return wins


def _empty(array: NDArray[Any]) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = np.isnan(array).all(axis=tuple(range(1, array.ndim)))
    return empty
