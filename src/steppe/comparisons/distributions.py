"""How far apart two samples are: the two-sample Kolmogorov-Smirnov statistic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ks_statistic(first: ArrayLike, second: ArrayLike) -> float:
    """Largest distance between the empirical distribution functions of two samples.

    Args:
        first: (n,) numbers; NaN are left out.
        second: (m,) numbers; NaN are left out.

    Returns:
        A number from 0 to 1; NaN when either sample has nothing left.
    """
    pair = Pair.of(first, second)
    return float(ks_of_counts(pair.counts(pair.first), pair.counts(pair.second)))


@dataclass(frozen=True, eq=False)
class Pair:
    """Two samples as codes on their common support; the code after the last stands for NaN.

    Attributes:
        size: Number of different values.
        first: (n,) code of each value of the first sample.
        second: (m,) code of each value of the second sample.
    """

    size: int
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike) -> Pair:
        """Code two samples."""
        samples = [np.asarray(values, dtype=np.float64).ravel() for values in (first, second)]
        support = np.unique(np.concatenate([values[~np.isnan(values)] for values in samples]))
        codes = [
            np.where(np.isnan(values), len(support), np.searchsorted(support, values))
            for values in samples
        ]
        return cls(len(support), codes[0].astype(np.int64), codes[1].astype(np.int64))

    def counts(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(..., value): how often each value occurs in codes of shape (..., sample)."""
        rows = np.atleast_2d(codes)
        width = self.size + 1
        shifted = rows + width * np.arange(len(rows))[:, None]
        counts = np.bincount(shifted.ravel(), minlength=width * len(rows))
        return np.reshape(counts, (*codes.shape[:-1], width))[..., : self.size]


def ks_of_counts(first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.float64]:
    """KS statistic of samples given as counts (..., value); NaN where a sample is empty."""
    sizes = [counts.sum(axis=-1, keepdims=True) for counts in (first, second)]
    with np.errstate(invalid="ignore"):
        gap = np.cumsum(first, axis=-1) / sizes[0] - np.cumsum(second, axis=-1) / sizes[1]
    largest = np.abs(gap).max(axis=-1, initial=0)
    empty = (sizes[0][..., 0] == 0) | (sizes[1][..., 0] == 0)
    return np.where(empty, np.nan, largest)
