"""The error of a smooth number of paired samples, by leaving out one sample at a time.

For means, shares, areas under ROC curves and smooth functions of them. Not for maxima and KS
statistics, which do not change smoothly as a sample is left out, and for quantiles only by blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from steppe.comparisons.intervals import Interval

Floats = NDArray[np.float64]
K = TypeVar("K")


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
        """Two-sided: below 0.05 exactly where the interval of level 0.95 leaves out zero."""
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


def jackknife(
    number: Callable[[Mapping[K, Any]], ArrayLike], values: Mapping[K, Any], blocks: int = 0
) -> Parts:
    """Compute a number, and its standard error over samples.

    Args:
        number: From values to one number, or to numbers ``(row, column)`` as in `Parts`; NaN where
            they are undefined.
        values: What they are computed from, each ``(sample, ...)``: of the same samples.
        blocks: Leave out one of so many blocks at a time instead of one sample. With blocks larger
            than the square root of the samples it serves quantiles, too (Shao and Wu 1989, Ann.
            Stat. 17, 1176). Samples are counted as blocks then.

    Returns:
        The numbers; samples in which nothing is defined are not counted.
    """
    known = {key: np.asarray(array) for key, array in values.items()}
    defined = np.any([~_empty(array) for array in known.values()], axis=0)
    known = {key: array[defined] for key, array in known.items()}
    count = int(defined.sum())
    if not count:
        return Parts(np.array([[np.nan]]), np.array([[np.nan]]), 0)
    parts = np.arange(count) * (min(blocks, count) or count) // count
    whole = np.atleast_2d(np.asarray(number(known), dtype=np.float64))
    left = [
        np.atleast_2d(number({key: array[parts != part] for key, array in known.items()}))
        for part in np.unique(parts if count > 1 else [])
    ]
    return parts_of(whole, np.array(left).reshape(-1, *whole.shape))


def parts_of(whole: Floats, left: Floats) -> Parts:
    """Numbers with their errors, from what they are as each sample is left out.

    Args:
        whole: ``(...)``.
        left: ``(sample, ...)``; the error is the square root of the jackknife's variance
            (Tukey 1958, Ann. Math. Stat. 29, 614).
    """
    count = len(left)
    if count < 2:
        return Parts(whole, np.full(whole.shape, np.nan), count)
    away = left - left.mean(axis=0)
    errors = np.sqrt((count - 1) / count * (away**2).sum(axis=0))
    return Parts(whole, errors, count)


def _empty(array: NDArray[Any]) -> NDArray[np.bool_]:
    empty: NDArray[np.bool_] = np.isnan(array.reshape(len(array), -1)).all(axis=1)
    return empty
