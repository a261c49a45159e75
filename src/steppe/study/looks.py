"""Claims that are looked at while samples are added, at levels that allow for every look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from steppe.comparisons import look_levels, sequential_p
from steppe.study.analysis import Analysis
from steppe.study.claims import Claim
from steppe.study.verdicts import FAILS, HOLDS, UNDECIDED, Decision, claims_frame

TABLE = "looks"
_CLEAR = {HOLDS, FAILS}
# An interval is made only where the p-value comes near the level: both decide alike, but for
# rounding.
_NEAR = 1.5


@dataclass(frozen=True)
class Looked:
    """A claim after some looks of a plan.

    Attributes:
        decision: The number and interval of the look that decides it, or of the last one so far, at
            that look's level; ``p`` is that of all looks (`steppe.comparisons.sequential_p`).
        at: Which look that is, from 0.
        each: What the claim said at each look.
        plan: Numbers of samples at all planned looks.
    """

    decision: Decision
    at: int
    each: tuple[Decision, ...]
    plan: tuple[int, ...]

    @classmethod
    def of(cls, each: Sequence[Decision], plan: Sequence[int]) -> Looked:
        """Decide by the first look that is clear at its level; what comes later changes nothing.

        Args:
            each: What the claim says at the first looks of the plan, at 95%.
            plan: Numbers of samples at all planned looks.
        """
        levels = look_levels(plan)
        last = len(each) - 1
        found, at = each[last].at_level(1 - levels[last]), last
        for k, decision in enumerate(each):
            if decision.p <= _NEAR * levels[k]:
                corrected = decision.at_level(1 - levels[k])
                if corrected.verdict in _CLEAR:
                    found, at = corrected, k
                    break
        p = sequential_p([decision.p for decision in each], plan)
        return cls(Decision(found.number, found.low, found.high, p), at, tuple(each), tuple(plan))

    @property
    def is_clear(self) -> bool:
        """Whether it holds or does not hold."""
        return self.decision.verdict in _CLEAR

    def is_settled(self, width: float | None) -> bool:
        """Whether it is clear, or known to half a width at the last look so far."""
        reach = (self.decision.high - self.decision.low) / 2
        return self.is_clear or (width is not None and bool(reach <= width))

    @property
    def levels(self) -> list[float]:
        """Two-sided level of each look so far."""
        return [float(level) for level in look_levels(self.plan)[: len(self.each)]]


@dataclass(frozen=True)
class Looks:
    """All claims of a run after the looks that its samples reach.

    Attributes:
        plan: Numbers of samples at all planned looks.
        count: How many looks there were.
        found: Each claim with what came of it.
        precision: Half the width of an interval, in the claims' units, that is enough; None: none.
        analysis: The run.
    """

    plan: tuple[int, ...]
    count: int
    found: tuple[tuple[Claim, Looked], ...]
    precision: float | None
    analysis: Analysis

    @classmethod
    def of(cls, claims: Sequence[Claim], analysis: Analysis) -> Looks:
        """Look at the claims of a run whose settings plan looks; all from its first samples."""
        settings = analysis.settings
        reached = [look for look in settings.plan if look <= settings.samples]
        measured = [claim for claim in claims if analysis.has(*claim.needs)]
        at_each = [analysis.first(samples) for samples in reached]
        found = tuple(
            (claim, Looked.of([claim.decide(claim.values(at)) for at in at_each], settings.plan))
            for claim in measured
        )
        return cls(settings.plan, len(reached), found, settings.precision, analysis)

    @property
    def is_over(self) -> bool:
        """Whether no further look is planned, or none is needed."""
        return self.count == len(self.plan) or all(
            one.is_settled(self._width(claim)) for claim, one in self.found
        )

    def _width(self, claim: Claim) -> float | None:
        return None if self.precision is None else self.precision * claim.unit

    @property
    def claims(self) -> pd.DataFrame:
        """The columns of `steppe.study.claims.claims_table`, then how each was looked at.

        ``samples``: at the look whose number and interval stand there; ``level``: its two-sided
        level; ``number_at_end``: the number of all samples.
        """
        rows, further = [], dict[str, None]()
        for claim, one in self.found:
            also = claim.also(self.analysis)
            further |= dict.fromkeys(also)
            beside = {
                "quantity": claim.quantity,
                **also,
                "published": claim.published,
                "samples": self.plan[one.at],
                "level": one.levels[one.at],
                "number_at_end": one.each[-1].number,
            }
            rows.append(one.decision.row(claim.id, claim.statement, **beside))
        looked = ("samples", "level", "number_at_end")
        return claims_frame(rows, "quantity", *further, "published", *looked)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each claim and look: samples, level, p-value, number, the verdict so far."""
        rows = [
            {
                "id": claim.id,
                "samples": self.plan[k],
                "level": one.levels[k],
                "p": decision.p,
                "number": decision.number,
                "verdict": one.decision.verdict if one.is_clear and k >= one.at else UNDECIDED,
            }
            for claim, one in self.found
            for k, decision in enumerate(one.each)
        ]
        return pd.DataFrame(rows)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the provenance is to hold of the last look, as plain data."""
        levels = look_levels(self.plan)
        return {
            "looks": {
                "plan": list(self.plan),
                "levels": [round(float(level), 6) for level in levels],
                "samples": self.plan[self.count - 1],
                "verdicts": {claim.id: one.decision.verdict for claim, one in self.found},
                "is_over": self.is_over,
            }
        }

    @property
    def text(self) -> str:
        """How many claims are clear, and after how many samples, in one line."""
        clear = [one for _, one in self.found if one.is_clear]
        at = [self.plan[one.at] for one in clear]
        counts = ", ".join(f"{at.count(n)} at {n}" for n in self.plan[: self.count] if n in at)
        narrow = sum(
            one.is_settled(self._width(claim)) and not one.is_clear for claim, one in self.found
        )
        known = f"; {narrow} more known to the precision asked for" if narrow else ""
        looks = ", ".join(map(str, self.plan[: self.count]))
        return (
            f"looked at after {looks} samples of at most {self.plan[-1]}: {len(clear)} of "
            f"{len(self.found)} claims decided{f' ({counts})' if counts else ''}{known}"
        )


def caption(looks: Looks) -> str:
    """What is said under the table of looks, and under the claims."""
    shown = ", ".join(f"{100 * level:.2g}%" for level in look_levels(looks.plan))
    return (
        f"Claims were looked at after {', '.join(map(str, looks.plan))} samples, as far as the "
        f"run went, at two-sided levels of {shown}, with which the chance of a false verdict on a "
        "claim is 5% over all looks (Lan and DeMets 1983). A verdict once reached is kept: its "
        "number and interval, of level 100% minus that look's, are those of that look, and its "
        "p-value is that of all looks."
    )
