"""Whether a claim holds on this subject: a number that is positive where it does, and its verdict.

Every verdict is given twice: alone, at 95%, and after Holm's correction for the number of claims
that a study decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from steppe.comparisons import Parts, Resamples, corrected_interval, corrected_p_value, holm

HOLDS, FAILS, UNDECIDED, UNDEFINED = "holds", "does not hold", "undecided", "undefined"
# How ``tables/claims.csv`` begins in every recipe; further columns follow.
COLUMNS = ("id", "statement", "number", "low", "high", "verdict", "p", "verdict_holm")
LEVEL = 0.95

K = TypeVar("K")
Values = Mapping[K, NDArray[Any]]


@dataclass(frozen=True)
class Decision:
    """A number that decides a claim.

    Attributes:
        number: Positive where the claim holds; NaN where it cannot be decided.
        low: Lower end of its 95% interval.
        high: Upper end.
        p: Two-sided p-value of a number of zero: below 0.05 exactly where the interval leaves
            out zero.
    """

    number: float
    low: float
    high: float
    p: float

    @classmethod
    def of_resamples(cls, number: float, drawn: NDArray[np.float64]) -> Self:
        """Decide by a bias-corrected bootstrap: the number, and that of each resample."""
        low, high = corrected_interval(number, drawn, LEVEL)
        return cls(number, low, high, corrected_p_value(number, drawn))

    @classmethod
    def of_parts(cls, parts: Parts) -> Self:
        """Decide by numbers with standard errors, of which all or some have to be positive."""
        return cls(parts.number, *parts.interval(LEVEL), parts.p_value())

    @property
    def verdict(self) -> str:
        """Whether the claim holds: where the whole interval is positive."""
        if np.isnan(self.low):
            return UNDEFINED
        return HOLDS if self.low > 0 else FAILS if self.high < 0 else UNDECIDED

    def row(self, id_: str, statement: str, **further: object) -> dict[str, object]:
        """The claim's row of `claims_frame`: all of `COLUMNS` but the last, then ``further``."""
        found = (id_, statement, self.number, self.low, self.high, self.verdict, self.p)
        return {**dict(zip(COLUMNS[:-1], found, strict=True)), **further}


def decide(number: Callable[[Values[K]], float], values: Values[K], drawn: Resamples) -> Decision:
    """Compute a claim's number, and its interval over samples.

    Args:
        number: From values to the number; NaN where it is undefined.
        values: What it is computed from, each ``(sample, ...)``: of the same samples, which are
            drawn for all of them alike (paired).
        drawn: The resamples.
    """
    resampled = [
        number({name: array[chosen] for name, array in values.items()})
        for block in drawn.blocks()
        for chosen in block
    ]
    return Decision.of_resamples(number(values), np.array(resampled))


def claims_frame(rows: Sequence[Mapping[str, object]], *further: str) -> pd.DataFrame:
    """The claims of one study as a table, with the verdicts that Holm's correction leaves.

    Args:
        rows: What `Decision.row` returns, one a claim.
        further: Columns after `COLUMNS`.
    """
    table = pd.DataFrame(rows, columns=[*COLUMNS, *further])
    clear = holm(table["p"]) < 1 - LEVEL
    decided = table["verdict"].isin([HOLDS, FAILS])
    table["verdict_holm"] = table["verdict"].where(~decided | clear, UNDECIDED)
    return table


def multiplicity_text(claims: pd.DataFrame) -> str:
    """How many claims hold, alone and after Holm's correction, and what chance would give."""
    tested = int((claims["verdict"] != UNDEFINED).sum())
    by_chance = (1 - LEVEL) / 2 * tested
    return (
        f"Of {tested} claims decided one by one at 95%, {_counts(claims['verdict'])}. Were none of "
        f"them true or false beyond chance, chance alone would give about {by_chance:.1f} verdicts "
        f"of '{HOLDS}' and as many of '{FAILS}'. After Holm's correction for {tested} claims, "
        f"with which the chance of any such verdict is 5%, {_counts(claims['verdict_holm'])}."
    )


def _counts(verdicts: pd.Series) -> str:
    names = {HOLDS: "hold", FAILS: "do not hold", UNDECIDED: "are undecided"}
    return ", ".join(f"{int((verdicts == name).sum())} {words}" for name, words in names.items())
