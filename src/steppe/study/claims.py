"""Statements that a run decides, each by one number with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from steppe.comparisons.jackknife import parts_of
from steppe.study.analysis import Analysis
from steppe.study.needs import Need
from steppe.study.verdicts import Decision, claims_frame

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Claim:
    """A statement, and how a run decides it.

    Attributes:
        id: Its fixed name, for instance ``JA1``.
        statement: What it says; it stands alone, and says no more than the number decides.
        quantity: What the number is; it is positive where the claim holds.
        decide: From the values to the number with its interval; see `positive` and `mostly`.
        needs: Datasets or derived quantities that it is decided from.
        published: The same number from the paper; NaN where it is not known.
        values: From the run's analysis to what ``decide`` takes; by default the analysis itself.
        outputs: Tables and figures that it belongs to: where outputs are singled out, it is decided
            with one of these; none: with any.
        also: Further columns of its row, such as ``number_at_...``: the same number elsewhere.
        unit: What the setting ``precision`` is a share of: 1 for KS distances and shares, the
            steps of a path for a number that counts them.
    """

    id: str
    statement: str
    quantity: str
    decide: Callable[[Any], Decision]
    needs: Sequence[str | Need] = field(default_factory=tuple)
    published: float = math.nan
    values: Callable[[Any], Any] = lambda analysis: analysis
    outputs: Sequence[str] = ()
    also: Callable[[Any], Mapping[str, float]] = lambda _analysis: {}
    unit: float = 1.0


def positive(number: Callable[..., float], *values: Floats) -> Decision:
    """Decide whether a smooth number of paired samples is positive, by leaving out each in turn.

    Args:
        number: From the values to one number: a mean, a ROC area, a smooth function of such. Not a
            median: ask whether samples are `mostly` above the bound instead.
        values: ``(sample, ...)`` each, of the same samples; a sample in which one of them is
            undefined is no evidence and is left out.
    """
    known = np.all([~np.isnan(v.reshape(len(v), -1)).all(axis=1) for v in values], axis=0)
    values = tuple(one[known] for one in values)
    if not known.sum() > 1:
        return Decision(math.nan, math.nan, math.nan, math.nan)
    left = [number(*rest) for rest in _leaving_out(values)]
    return Decision.of_parts(parts_of(np.array(number(*values)), np.array(left, dtype=np.float64)))


def _leaving_out(values: Sequence[Floats]) -> Iterator[Sequence[Floats]]:
    """The values without the first sample, without the second ... in place, copied only once."""
    rest = [one[1:].copy() for one in values]
    yield rest
    for i in range(len(values[0]) - 1):
        for kept, one in zip(rest, values, strict=True):
            kept[i] = one[i]
        yield rest


def mostly(won: ArrayLike) -> Decision:
    """Decide whether more than half of independent samples are won, exactly for any number of them.

    Args:
        won: ``(sample,)``: 1 (or true) where it is, 0 where not, one half for a tie, NaN where
            undefined.
    """
    return Decision.of_share(np.asarray(won, dtype=np.float64))


def claims_table(claims: Sequence[Claim], analysis: Analysis) -> pd.DataFrame:
    """Decide every claim whose needs were measured.

    Returns:
        The columns of `steppe.study.verdicts.COLUMNS`, ``quantity``, those of `Claim.also`,
        ``published``.
    """
    rows, further = [], dict[str, None]()
    for claim in claims:
        if analysis.has(*claim.needs):
            also = claim.also(analysis)
            further |= dict.fromkeys(also)
            beside = {"quantity": claim.quantity, **also, "published": claim.published}
            decision = claim.decide(claim.values(analysis))
            rows.append(decision.row(claim.id, claim.statement, **beside))
    return claims_frame(rows, "quantity", *further, "published")
