"""Which of the paper's claims hold on this subject: the number that decides each, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Resamples, ks_null_band, ks_statistic
from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.recipes.deciding import claims_frame, decide
from steppe.recipes.giglemiani2024.outputs import PLATEAU_OUTPUT
from steppe.recipes.giglemiani2024.steps import Analysis, published_values

Floats = NDArray[np.float64]
# (mode or context, kind): the step of every sample.
Steps = Mapping[tuple[str, str], Floats]

REAL, RANDOM = "real", "random"
BASELINE, STRUCTURED = "synthetic_baseline", "synthetic_structured"
PLAIN, WITHOUT = "synthetic_random", "synthetic_structured_without_cosine"
RECONSTRUCTED = "sae_reconstruction"


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, and a number that is positive where it holds.

    Attributes:
        statement: The claim, in our words; it says no more than the number decides.
        table: Whose steps decide it.
        quantity: What the number is.
        number: Its computation.
        needs: The (mode or context, kind) it is computed from.
        published: Its computation from the paper's own table: values by (column, group, kind).
    """

    statement: str
    table: str
    quantity: str
    number: Callable[[Steps], float]
    needs: tuple[tuple[str, str], ...]
    published: Callable[[Mapping[tuple[str, str, str], float]], float] | None = None


def _later(table: str, group: str, later: str, earlier: str, statement: str) -> Claim:
    return Claim(
        statement,
        table,
        f"mean step, {later} minus {earlier} ({group})",
        lambda steps: _mean(steps[group, later]) - _mean(steps[group, earlier]),
        ((group, later), (group, earlier)),
        lambda known: known["mean", group, later] - known["mean", group, earlier],
    )


def _wider(table: str, group: str, wider: str, tighter: str, statement: str) -> Claim:
    return Claim(
        statement,
        table,
        f"standard deviation of the step, {wider} minus {tighter} ({group})",
        lambda steps: _spread(steps[group, wider]) - _spread(steps[group, tighter]),
        ((group, wider), (group, tighter)),
        lambda known: known["std", group, wider] - known["std", group, tighter],
    )


def _nearer(table: str, group: str, farther: str, nearer: str, statement: str) -> Claim:
    return Claim(
        statement,
        table,
        f"KS to real, {farther} minus {nearer} ({group})",
        lambda steps: _ks_gap(steps, group, farther, nearer),
        ((group, REAL), (group, farther), (group, nearer)),
        lambda known: known["ks", group, farther] - known["ks", group, nearer],
    )


def _mostly(table: str, kind: str, low: float, high: float, statement: str) -> Claim:
    return Claim(
        statement,
        table,
        f"share of steps from {low:g} to {high:g}, minus one half ({kind}, relative)",
        lambda steps: _share(steps["relative", kind], low, high) - 0.5,
        (("relative", kind),),
    )


def _mean(steps: Floats) -> float:
    defined = steps[~np.isnan(steps)]
    return float(defined.mean()) if len(defined) else float("nan")


def _spread(steps: Floats) -> float:
    defined = steps[~np.isnan(steps)]
    return float(defined.std()) if len(defined) else float("nan")


def _share(steps: Floats, low: float, high: float) -> float:
    defined = steps[~np.isnan(steps)]
    return float(np.mean((defined >= low) & (defined <= high))) if len(defined) else float("nan")


def _ks_gap(steps: Steps, group: str, farther: str, nearer: str) -> float:
    real = steps[group, REAL]
    return ks_statistic(steps[group, farther], real) - ks_statistic(steps[group, nearer], real)


def _gap_shrinks(steps: Steps) -> float:
    gaps = [_ks_gap(steps, mode, BASELINE, STRUCTURED) for mode in ("absolute", "relative")]
    return gaps[0] - gaps[1]


def _inside_null_band(steps: Steps) -> float:
    made, real = steps["absolute", RECONSTRUCTED], steps["absolute", REAL]
    return ks_null_band(len(made), len(real)) - ks_statistic(made, real)


ABSOLUTE, RELATIVE, FOREIGN = "absolute", "relative", "foreign"

CLAIMS = (
    _later("table_1", ABSOLUTE, RANDOM, REAL,
           "Paths towards real activations blow up earlier than paths towards random ones."),
    _later("table_a1", RELATIVE, RANDOM, REAL,
           "So they do on relative paths."),
    _wider("table_1", ABSOLUTE, RANDOM, REAL,
           "Blow-ups towards real activations are more localised than towards random ones."),
    _wider("table_a1", RELATIVE, RANDOM, REAL,
           "So they are on relative paths."),
    _mostly("table_a1", REAL, 30, 70,
            "On relative paths most blow-ups towards real activations lie from step 30 to 70."),
    _nearer("table_1", ABSOLUTE, RANDOM, BASELINE,
            "Synthetic-baseline resembles real more than random does."),
    _nearer("table_1", ABSOLUTE, BASELINE, STRUCTURED,
            "Synthetic-structured resembles real more than synthetic-baseline does."),
    _nearer("table_a1", RELATIVE, BASELINE, STRUCTURED,
            "So it does on relative paths."),
    Claim("Its advantage is smaller on relative paths.", "table_a1",
          "KS to real, synthetic_baseline minus synthetic_structured, absolute minus relative",
          _gap_shrinks,
          tuple((m, k) for m in (ABSOLUTE, RELATIVE) for k in (REAL, BASELINE, STRUCTURED)),
          lambda known: known["ks", ABSOLUTE, BASELINE] - known["ks", ABSOLUTE, STRUCTURED]
          - known["ks", RELATIVE, BASELINE] + known["ks", RELATIVE, STRUCTURED]),
    _nearer("table_a1", ABSOLUTE, PLAIN, BASELINE,
            "Synthetic-random resembles real less than synthetic-baseline does."),
    _nearer("table_a1", RELATIVE, PLAIN, BASELINE,
            "So it does on relative paths (in the paper's words; its table says otherwise)."),
    _nearer("table_a1", RELATIVE, STRUCTURED, WITHOUT,
            "On relative paths, choosing the top latent without its cosine helps."),
    _nearer("table_a1", ABSOLUTE, WITHOUT, STRUCTURED,
            "On absolute paths, choosing it so hurts."),
    _nearer("table_b1", ABSOLUTE, BASELINE, STRUCTURED,
            "By the area step, too, synthetic-structured resembles real more than baseline."),
    _later("table_b2", ABSOLUTE, STRUCTURED, REAL,
           "Curves towards real activations bend earlier than towards synthetic-structured."),
    _later("table_b2", ABSOLUTE, BASELINE, RANDOM,
           "Curves towards synthetic-baseline bend later than towards random."),
    _nearer("table_c1", ABSOLUTE, BASELINE, STRUCTURED,
            "By KL, too, synthetic-structured resembles real more than synthetic-baseline."),
    _mostly("table_c1", REAL, 40, 100,
            "KL mostly blows up only when over 40% of the base has been replaced."),
    _nearer("table_d1", ABSOLUTE, RANDOM, RECONSTRUCTED,
            "SAE reconstructions of real targets resemble them more than random ones do."),
    Claim("They cannot be told from real targets: KS below the 5% null band.", "table_d1",
          "null band minus KS to real (absolute)", _inside_null_band,
          ((ABSOLUTE, REAL), (ABSOLUTE, RECONSTRUCTED)),
          lambda known: ks_null_band(1000, 1000) - known["ks", ABSOLUTE, RECONSTRUCTED]),
    _later("table_d1", RELATIVE, RECONSTRUCTED, REAL,
           "Blow-ups towards reconstructions come a little later (relative paths)."),
    _later(PLATEAU_OUTPUT, FOREIGN, REAL, RANDOM,
           "Plateaus around real activations are longer than around random ones."),
    _later(PLATEAU_OUTPUT, FOREIGN, REAL, STRUCTURED,
           "Plateaus around synthetic-structured activations are shorter than around real ones."),
    _later(PLATEAU_OUTPUT, FOREIGN, STRUCTURED, BASELINE,
           "Plateaus around synthetic-baseline are shorter than around synthetic-structured."),
    _later(PLATEAU_OUTPUT, FOREIGN, RANDOM, BASELINE,
           "Plateaus around synthetic-baseline are shorter than around random."),
)  # fmt: skip


def claims_table(analysis: Analysis, steps: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Decide every claim that the run's tables allow.

    Args:
        analysis: The run.
        steps: Steps per table, dimensions kind, sample, and mode or context.

    Returns:
        Columns id, statement, number, low, high, verdict, quantity, published. A claim holds where
        the whole 95% bootstrap interval (over samples, kinds paired) is positive, does not hold
        where it is negative, is undecided otherwise, and undefined where the number is.
    """
    rows = []
    for index, claim in enumerate(CLAIMS, start=1):
        known = _by_group(steps[claim.table]) if claim.table in steps else {}
        if set(claim.needs) <= known.keys():
            rows.append(_decide(analysis, f"G{index}", claim, known))
    return claims_frame(rows, "quantity", "published")


def _by_group(steps: xr.DataArray) -> dict[tuple[str, str], Floats]:
    group = CONTEXT if CONTEXT in steps.dims else MODE
    return {
        (str(label), str(kind)): steps.sel({group: label, KIND: kind}).values
        for label in steps[group].values
        for kind in steps[KIND].values
    }


def _decide(
    analysis: Analysis, id_: str, claim: Claim, known: dict[tuple[str, str], Floats]
) -> dict[str, object]:
    steps = {place: known[place] for place in claim.needs}
    samples = len(next(iter(steps.values())))
    drawn = Resamples.draw(samples, analysis.settings.bootstrap, analysis.generator(id_))
    decision = decide(claim.number, steps, drawn)
    return decision.row(id_, claim.statement, quantity=claim.quantity, published=_published(claim))


def _published(claim: Claim) -> float:
    if claim.published is None:
        return float("nan")
    rows = published_values()
    rows = rows[rows["table"] == claim.table]
    known = {
        (column, row["mode"], row["kind"]): float(row[column])
        for _, row in rows.iterrows()
        for column in ("mean", "std", "ks")
    }
    return claim.published(known)
