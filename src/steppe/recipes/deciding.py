"""Does a claim hold on this subject? A number that is positive where it does, and its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from steppe.comparisons import Resamples, corrected_interval

HOLDS, FAILS, UNDECIDED, UNDEFINED = "holds", "does not hold", "undecided", "undefined"
# How ``tables/claims.csv`` begins in every recipe; further columns follow.
COLUMNS = ("id", "statement", "number", "low", "high", "verdict")

K = TypeVar("K")
Values = Mapping[K, NDArray[Any]]


@dataclass(frozen=True)
class Decision:
    """A number that decides a claim.

    Attributes:
        number: Positive where the claim holds; NaN where it cannot be decided.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end.
    """

    number: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the claim holds: where the whole interval is positive."""
        if np.isnan(self.low):
            return UNDEFINED
        return HOLDS if self.low > 0 else FAILS if self.high < 0 else UNDECIDED

    def row(self, id_: str, statement: str, **further: object) -> dict[str, object]:
        """The claim's row of ``tables/claims.csv``: `COLUMNS`, then ``further``."""
        found = (id_, statement, self.number, self.low, self.high, self.verdict)
        return {**dict(zip(COLUMNS, found, strict=True)), **further}


def decide(number: Callable[[Values[K]], float], values: Values[K], drawn: Resamples) -> Decision:
    """Compute a claim's number, and its interval over samples.

    Args:
        number: From values to the number; NaN where it is undefined.
        values: What it is computed from, each ``(sample, ...)``: of the same samples, which are
            drawn for all of them alike (paired).
        drawn: The resamples.
    """
    found = number(values)
    resampled = [
        number({name: array[chosen] for name, array in values.items()})
        for block in drawn.blocks()
        for chosen in block
    ]
    low, high = corrected_interval(found, np.array(resampled), 0.95)
    return Decision(found, low, high)
