"""Whether a claim holds on this model: a number that is positive where it does, and its verdict.

Every verdict is given twice: alone, at 95%, and after Holm's correction for the number of claims
that a study decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtr, bdtri

from steppe.comparisons import Interval, KsTest, Parts, holm

HOLDS, FAILS, UNDECIDED, UNDEFINED = "holds", "does not hold", "undecided", "undefined"
# How ``tables/claims.csv`` begins in every study; further columns follow.
COLUMNS = ("id", "statement", "number", "low", "high", "verdict", "p", "verdict_holm")
LEVEL = 0.95


@dataclass(frozen=True)
class Decision:
    """A number that decides a claim.

    Attributes:
        number: Positive where the claim holds; NaN where it cannot be decided.
        low: Lower end of its 95% interval.
        high: Upper end.
        p: Two-sided p-value of a number of zero: it and the interval decide alike, up to rounding.
            As exact as what made it: a count's is, a mean's follows Student's t, a KS distance's is
            a share of draws.
        at: From a level to the interval of that level; None: it is not known at others.
    """

    number: float
    low: float
    high: float
    p: float
    at: Callable[[float], Interval] | None = field(
        default=None, compare=False, repr=False, kw_only=True
    )

    @classmethod
    def of_parts(cls, parts: Parts) -> Self:
        """Decide by numbers with standard errors, of which all or some have to be positive."""
        return cls(parts.number, *parts.interval(LEVEL), parts.p_value(), at=parts.interval)

    @classmethod
    def of_ks(cls, test: Callable[[float], KsTest]) -> Self:
        """Decide by a test of KS distances; ``test`` is given the level of the interval."""
        return cls(*test(LEVEL), at=lambda level: Interval(*test(level)[1:3]))

    @classmethod
    def of_share(cls, won: NDArray[np.floating]) -> Self:
        """Decide whether more than half of independent samples are won: share minus one half.

        The interval is exact (Clopper and Pearson 1934, Biometrika 26, 404), given how many tie:
        with few samples a share is one of few values, for which no approximate level holds.

        Args:
            won: ``(sample,)``: 1 where it is, 0 where not, one half for a tie, NaN where undefined.
        """
        known = won[~np.isnan(won)]
        if not len(known):
            return cls(*[float("nan")] * 4)
        decided = known[known != 0.5]
        wins, count = int(decided.sum()), len(decided)
        weight = count / len(known)

        def at(level: float) -> Interval:
            tail = (1 - level) / 2
            # Ends are shares with which so many wins, or so few, come about in 2.5% of runs.
            low = float(0.5 - bdtri(count - wins, count, tail)) if wins else -0.5
            high = float(bdtri(wins, count, tail) - 0.5) if wins < count else 0.5
            return Interval(weight * low, weight * high)

        p = 2 * float(bdtr(min(wins, count - wins), count, 0.5))
        return cls(float(known.mean() - 0.5), *at(LEVEL), min(1.0, p), at=at)

    def at_level(self, level: float) -> Self:
        """The same with an interval of another level; NaN where it is not known."""
        low, high = self.at(level) if self.at else Interval(np.nan, np.nan)
        return replace(self, low=low, high=high)

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
        f"of '{HOLDS}' and as many of '{FAILS}'. After Holm's correction for {tested} claims (all "
        "that this run decides: of a run of some parts only they are fewer, and corrected for "
        "less), with which the chance of any such verdict is 5%, "
        f"{_counts(claims['verdict_holm'])}."
    )


def _counts(verdicts: pd.Series) -> str:
    names = {HOLDS: "hold", FAILS: "do not hold", UNDECIDED: "are undecided"}
    return ", ".join(f"{int((verdicts == name).sum())} {words}" for name, words in names.items())
