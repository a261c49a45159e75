"""Which of the paper's claims hold on this subject: the number that decides each, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Resamples, corrected_interval, ks_statistic
from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.recipes.giglemiani2024.outputs import PLATEAU_OUTPUT
from steppe.recipes.giglemiani2024.steps import Analysis, published_values

Floats = NDArray[np.float64]
Number = Callable[[Mapping[str, Floats]], float]

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
RESAMPLES = 500


def mean_gap(later: str, earlier: str) -> Number:
    """By how many steps ``later`` comes after ``earlier``, in the mean."""
    return lambda kinds: float(np.nanmean(kinds[later]) - np.nanmean(kinds[earlier]))


def spread_gap(wider: str, tighter: str) -> Number:
    """By how many steps the standard deviation of ``wider`` exceeds that of ``tighter``."""
    return lambda kinds: float(np.nanstd(kinds[wider]) - np.nanstd(kinds[tighter]))


def ks_gap(farther: str, nearer: str) -> Number:
    """By how much ``farther`` is less like `real` than ``nearer``, in KS."""
    return lambda kinds: (
        ks_statistic(kinds[farther], kinds["real"]) - ks_statistic(kinds[nearer], kinds["real"])
    )


def share_gap(kind: str, low: float, high: float) -> Number:
    """By how much more than half of the steps lie between two values."""
    return lambda kinds: float(np.mean((kinds[kind] >= low) & (kinds[kind] <= high)) - 0.5)


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, and a number that is positive where it holds.

    Attributes:
        id: Short name.
        statement: The claim, in our words.
        table: Whose steps decide it.
        group: Path mode, or context for plateaus.
        quantity: What the number is.
        number: Its computation from the steps by kind.
        needs: The kinds it compares.
        published: How the paper's own numbers give it: (column, larger, smaller).
    """

    id: str
    statement: str
    table: str
    group: str
    quantity: str
    number: Number
    needs: tuple[str, ...]
    published: tuple[str, str, str] | None = None


BASELINE, STRUCTURED = "synthetic_baseline", "synthetic_structured"
PLAIN, WITHOUT = "synthetic_random", "synthetic_structured_without_cosine"


def _mean(id_: str, statement: str, table: str, group: str, kinds: tuple[str, str]) -> Claim:
    later, earlier = kinds
    return Claim(id_, statement, table, group, f"mean step, {later} minus {earlier}",
                 mean_gap(later, earlier), ("real", *kinds), ("mean", later, earlier))  # fmt: skip


def _ks(id_: str, statement: str, table: str, group: str, kinds: tuple[str, str]) -> Claim:
    farther, nearer = kinds
    return Claim(id_, statement, table, group, f"KS to real, {farther} minus {nearer}",
                 ks_gap(farther, nearer), ("real", *kinds), ("ks", farther, nearer))  # fmt: skip


CLAIMS = (
    _mean("G1", "Perturbations towards real activations blow up earlier than towards random ones.",
          "table_1", "absolute", ("random", "real")),
    _mean("G2", "So they do on relative paths.",
          "table_a1", "relative", ("random", "real")),
    Claim("G3", "Blow-ups towards real activations are more localised than towards random ones.",
          "table_a1", "relative", "standard deviation of the step, random minus real",
          spread_gap("random", "real"), ("real", "random"), ("std", "random", "real")),
    Claim("G4", "On relative paths blow-ups towards real activations lie between steps 30 and 70.",
          "table_a1", "relative", "share of steps in 30..70, minus one half",
          share_gap("real", 30, 70), ("real",)),
    _ks("G5", "Synthetic-baseline activations resemble real ones more than random ones do.",
        "table_1", "absolute", ("random", BASELINE)),
    _ks("G6", "Synthetic-structured activations resemble real ones more than synthetic-baseline.",
        "table_1", "absolute", (BASELINE, STRUCTURED)),
    _ks("G7", "So they do, by less, on relative paths.",
        "table_a1", "relative", (BASELINE, STRUCTURED)),
    _ks("G8", "Synthetic-random activations resemble real ones less than synthetic-baseline.",
        "table_a1", "absolute", (PLAIN, BASELINE)),
    _ks("G9", "On relative paths, leaving the cosine out of the choice of the top latent helps.",
        "table_a1", "relative", (STRUCTURED, WITHOUT)),
    _ks("G10", "On absolute paths, leaving it out hurts.",
        "table_a1", "absolute", (WITHOUT, STRUCTURED)),
    _ks("G11", "The area step ranks synthetic-structured above synthetic-baseline, too.",
        "table_b1", "absolute", (BASELINE, STRUCTURED)),
    _mean("G12", "Curves bend earlier towards real activations than towards synthetic-baseline.",
          "table_b2", "absolute", (BASELINE, "real")),
    _ks("G13", "KL ranks synthetic-structured above synthetic-baseline, too.",
        "table_c1", "absolute", (BASELINE, STRUCTURED)),
    _ks("G14", "SAE reconstructions of real activations act almost like them, unlike random ones.",
        "table_d1", "absolute", ("random", "sae_reconstruction")),
    _mean("G15", "Plateaus around real activations are longer than around random ones.",
          PLATEAU_OUTPUT, "foreign", ("real", "random")),
    _mean("G16", "Synthetic-structured activations have no such plateaus.",
          PLATEAU_OUTPUT, "foreign", ("real", STRUCTURED)),
    _mean("G17", "Neither have synthetic-baseline ones, whose plateaus are the shortest.",
          PLATEAU_OUTPUT, "foreign", (STRUCTURED, BASELINE)),
)  # fmt: skip


def claims_table(analysis: Analysis, steps: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Decide every claim that the run's tables allow.

    Args:
        analysis: The run.
        steps: Steps per table, dimensions kind, sample, and mode or context.

    Returns:
        Columns id, statement, quantity, number, low, high, verdict, published. A claim holds where
        the whole 95% bootstrap interval (over samples, kinds paired) is positive, does not hold
        where it is negative, and is undecided otherwise.
    """
    rows = [
        _decide(analysis, claim, steps[claim.table])
        for claim in CLAIMS
        if claim.table in steps and set(claim.needs) <= set(steps[claim.table][KIND].values)
    ]
    columns = ["id", "statement", "quantity", "number", "low", "high", "verdict", "published"]
    return pd.DataFrame(rows, columns=columns)


def _decide(analysis: Analysis, claim: Claim, steps: xr.DataArray) -> dict[str, object]:
    group = CONTEXT if CONTEXT in steps.dims else MODE
    chosen = steps.sel({group: claim.group})
    kinds = {kind: chosen.sel({KIND: kind}).values for kind in claim.needs}
    number = claim.number(kinds)
    drawn = Resamples.draw(chosen.sizes["sample"], RESAMPLES, analysis.generator(claim.id))
    resampled = np.array(
        [
            claim.number({kind: values[index] for kind, values in kinds.items()})
            for block in drawn.blocks()
            for index in block
        ]
    )
    low, high = corrected_interval(number, resampled, 0.95)
    verdict = HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED
    return {
        "id": claim.id,
        "statement": claim.statement,
        "quantity": claim.quantity,
        "number": number,
        "low": low,
        "high": high,
        "verdict": verdict,
        "published": _published(claim),
    }


def _published(claim: Claim) -> float:
    if claim.published is None:
        return float("nan")
    column, larger, smaller = claim.published
    known = published_values()
    known = known[(known["table"] == claim.table) & (known["mode"] == claim.group)]
    by_kind = known.set_index("kind")[column]
    return float(by_kind[larger] - by_kind[smaller])
