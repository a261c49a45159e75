"""Which of the paper's claims hold on this subject: the number that decides each, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import xarray as xr

from steppe.comparisons import Resamples
from steppe.core.axes import CONTEXT, KIND, MODE
from steppe.recipes.deciding import Decision, claims_frame
from steppe.recipes.giglemiani2024.numbers import (
    ALIKE,
    Floats,
    Place,
    Steps,
    closeness,
    ks_gap,
    mean_gap,
    share_above_half,
    spread_gap,
)
from steppe.recipes.giglemiani2024.outputs import PLATEAU_OUTPUT
from steppe.recipes.giglemiani2024.steps import Analysis, published_values

# Published values by (column, group, kind).
Published = Mapping[tuple[str, str, str], float]

REAL, RANDOM = "real", "random"
BASELINE, STRUCTURED = "synthetic_baseline", "synthetic_structured"
PLAIN, WITHOUT = "synthetic_random", "synthetic_structured_without_cosine"
RECONSTRUCTED = "sae_reconstruction"
ABSOLUTE, RELATIVE, FOREIGN, NATIVE = "absolute", "relative", "foreign", "native"


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, and a number that is positive where it holds.

    Attributes:
        id: Its name, which stays.
        statement: The claim, in our words; it says no more than the number decides.
        table: Whose steps decide it.
        quantity: What the number is.
        decide: Its computation from the steps, with draws for what needs some.
        needs: The (mode or context, kind) it is computed from.
        published: The number in the paper's own table.
    """

    id: str
    statement: str
    table: str
    quantity: str
    decide: Callable[[Steps, Resamples], Decision]
    needs: tuple[Place, ...]
    published: Callable[[Published], float] | None = None


@dataclass(frozen=True)
class _At:
    """Where claims are decided: a table, and a mode or context of it."""

    table: str
    group: str

    def later(self, id_: str, later: str, earlier: str, statement: str) -> Claim:
        """The mean step of one kind is larger than that of another."""
        places = (self.group, later), (self.group, earlier)
        return Claim(
            id_,
            statement,
            self.table,
            f"mean step, {later} minus {earlier} ({self.group})",
            lambda steps, _: mean_gap(steps, *places),
            places,
            lambda known: known["mean", *places[0]] - known["mean", *places[1]],
        )

    def wider(self, id_: str, wider: str, tighter: str, statement: str) -> Claim:
        """The steps of one kind are spread wider than those of another."""
        places = (self.group, wider), (self.group, tighter)
        return Claim(
            id_,
            statement,
            self.table,
            f"standard deviation of the step, {wider} minus {tighter} ({self.group})",
            lambda steps, _: spread_gap(steps, *places),
            places,
            lambda known: known["std", *places[0]] - known["std", *places[1]],
        )

    def nearer(self, id_: str, farther: str, nearer: str, statement: str) -> Claim:
        """The steps of one kind are farther from the real ones than those of another."""
        terms = {(self.group, farther): 1.0, (self.group, nearer): -1.0}
        quantity = f"KS to real, {farther} minus {nearer} ({self.group})"
        return _by_ks(id_, statement, self.table, quantity, terms)

    def mostly(self, id_: str, kind: str, low: float, high: float, statement: str) -> Claim:
        """More than half of the steps of a kind lie within bounds."""
        return Claim(
            id_,
            statement,
            self.table,
            f"share of steps from {low:g} to {high:g}, minus one half ({kind}, {self.group})",
            lambda steps, _: share_above_half(steps[self.group, kind], low, high),
            ((self.group, kind),),
        )


def _by_ks(
    id_: str, statement: str, table: str, quantity: str, terms: Mapping[Place, float]
) -> Claim:
    groups = {group: None for group, _ in terms}
    return Claim(
        id_,
        statement,
        table,
        quantity,
        lambda steps, _: ks_gap(steps, terms, REAL),
        (*((group, REAL) for group in groups), *terms),
        lambda known: sum(weight * known["ks", *place] for place, weight in terms.items()),
    )


_TABLE_1, _TABLE_D1 = _At("table_1", ABSOLUTE), _At("table_d1", ABSOLUTE)
_ABSOLUTE, _RELATIVE = _At("table_a1", ABSOLUTE), _At("table_a1", RELATIVE)
_AREA, _BEND, _KL = _At("table_b1", ABSOLUTE), _At("table_b2", ABSOLUTE), _At("table_c1", ABSOLUTE)
_PLATEAU, _OWN = _At(PLATEAU_OUTPUT, FOREIGN), _At(PLATEAU_OUTPUT, NATIVE)

CLAIMS = (
    _TABLE_1.later(
        "G1", RANDOM, REAL,
        "On absolute paths, L2 blows up earlier towards real activations than towards random "
        "ones."),
    _RELATIVE.later(
        "G2", RANDOM, REAL,
        "On relative paths, L2 blows up earlier towards real activations than towards random "
        "ones."),
    _TABLE_1.wider(
        "G3", RANDOM, REAL,
        "On absolute paths, the steps of blow-ups of L2 are spread less towards real activations "
        "than towards random ones (the paper's words; its table says the opposite, by too little "
        "for 1,000 samples to decide)."),
    _RELATIVE.wider(
        "G4", RANDOM, REAL,
        "On relative paths, the steps of blow-ups of L2 are spread less towards real activations "
        "than towards random ones."),
    _RELATIVE.mostly(
        "G5", REAL, 30, 70,
        "On relative paths, most blow-ups of L2 towards real activations lie from step 30 to 70."),
    _TABLE_1.nearer(
        "G6", RANDOM, BASELINE,
        "On absolute paths, synthetic-baseline resembles real more than random does."),
    _TABLE_1.nearer(
        "G7", BASELINE, STRUCTURED,
        "On absolute paths, synthetic-structured resembles real more than synthetic-baseline "
        "does."),
    _RELATIVE.nearer(
        "G8", BASELINE, STRUCTURED,
        "On relative paths, synthetic-structured resembles real more than synthetic-baseline does "
        "(an effect as small as the published one cannot be decided with 500 samples)."),
    _by_ks(
        "G9",
        "By how much synthetic-structured resembles real more than synthetic-baseline does is "
        "less on relative paths than on absolute ones.",
        "table_a1",
        "KS to real, synthetic_baseline minus synthetic_structured, absolute minus relative",
        {(ABSOLUTE, BASELINE): 1.0, (ABSOLUTE, STRUCTURED): -1.0,
         (RELATIVE, BASELINE): -1.0, (RELATIVE, STRUCTURED): 1.0}),
    _ABSOLUTE.nearer(
        "G10", PLAIN, BASELINE,
        "On absolute paths, synthetic-random resembles real less than synthetic-baseline does."),
    _RELATIVE.nearer(
        "G11", PLAIN, BASELINE,
        "On relative paths, synthetic-random resembles real less than synthetic-baseline does "
        "(the paper's words; its table says the opposite)."),
    _RELATIVE.nearer(
        "G12", STRUCTURED, WITHOUT,
        "On relative paths, synthetic-structured resembles real more when its top latent is "
        "chosen without the cosine (an effect as small as the published one cannot be decided "
        "with 500 samples)."),
    _ABSOLUTE.nearer(
        "G13", WITHOUT, STRUCTURED,
        "On absolute paths, synthetic-structured resembles real less when its top latent is "
        "chosen without the cosine."),
    _AREA.nearer(
        "G14", BASELINE, STRUCTURED,
        "By the area step of L2 (absolute paths), synthetic-structured resembles real more than "
        "synthetic-baseline does."),
    _BEND.later(
        "G15", STRUCTURED, REAL,
        "On absolute paths, L2 leaves its initial line earlier towards real activations than "
        "towards synthetic-structured ones."),
    _BEND.later(
        "G16", BASELINE, RANDOM,
        "On absolute paths, L2 leaves its initial line later towards synthetic-baseline than "
        "towards random activations."),
    _KL.nearer(
        "G17", BASELINE, STRUCTURED,
        "By the blow-up of KL (absolute paths), synthetic-structured resembles real more than "
        "synthetic-baseline does."),
    _At("table_c1", RELATIVE).mostly(
        "G18", REAL, 40, 100,
        "On relative paths, KL towards real activations mostly blows up only when over 40% of the "
        "base has been replaced."),
    _TABLE_D1.nearer(
        "G19", RANDOM, RECONSTRUCTED,
        "On absolute paths, SAE reconstructions of real targets resemble these more than random "
        "activations do."),
    Claim(
        "G20",
        "On absolute paths, the steps of blow-ups towards SAE reconstructions are distributed as "
        f"towards the real targets, to within a KS distance of {ALIKE:g} (likeness, not identity: "
        "a small shift is not excluded).",
        "table_d1",
        f"{ALIKE:g} minus KS to real (absolute)",
        lambda steps, drawn: closeness(
            steps, (ABSOLUTE, RECONSTRUCTED), (ABSOLUTE, REAL), drawn
        ),
        ((ABSOLUTE, REAL), (ABSOLUTE, RECONSTRUCTED)),
        lambda known: ALIKE - known["ks", ABSOLUTE, RECONSTRUCTED]),
    _At("table_d1", RELATIVE).later(
        "G21", RECONSTRUCTED, REAL,
        "On relative paths, L2 blows up later towards SAE reconstructions than towards the real "
        "targets."),
    _PLATEAU.later(
        "G22", REAL, RANDOM,
        "Plateaus around real activations placed in another prompt are longer than around random "
        "ones."),
    _OWN.later(
        "G22n", REAL, RANDOM,
        "Plateaus around real activations in their own prompt are longer than around random "
        "ones."),
    _PLATEAU.later(
        "G23", REAL, STRUCTURED,
        "Plateaus around synthetic-structured activations are shorter than around real ones "
        "placed in another prompt."),
    _OWN.later(
        "G23n", REAL, STRUCTURED,
        "Plateaus around synthetic-structured activations are shorter than around real ones in "
        "their own prompt."),
    # Bases that are made for the prompt they stand in have the same curves in both contexts.
    _PLATEAU.later(
        "G24", STRUCTURED, BASELINE,
        "Plateaus around synthetic-baseline activations are shorter than around "
        "synthetic-structured ones (either context: the same curves)."),
    _PLATEAU.later(
        "G25", RANDOM, BASELINE,
        "Plateaus around synthetic-baseline activations are shorter than around random ones "
        "(either context: the same curves)."),
)  # fmt: skip


def claims_table(analysis: Analysis, steps: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """Decide every claim that the run's tables allow.

    Args:
        analysis: The run.
        steps: Steps per table, dimensions kind, sample, and mode or context.

    Returns:
        The columns of `claims_frame`, then quantity and published. A claim holds where the whole
        95% interval (over samples, kinds paired) is positive, does not hold where it is negative,
        is undecided otherwise, and undefined where the number is.
    """
    rows = []
    for claim in CLAIMS:
        known = _by_group(steps[claim.table]) if claim.table in steps else {}
        if set(claim.needs) <= known.keys():
            rows.append(_decide(analysis, claim, known))
    return claims_frame(rows, "quantity", "published")


def _by_group(steps: xr.DataArray) -> dict[Place, Floats]:
    group = CONTEXT if CONTEXT in steps.dims else MODE
    return {
        (str(label), str(kind)): steps.sel({group: label, KIND: kind}).values
        for label in steps[group].values
        for kind in steps[KIND].values
    }


def _decide(analysis: Analysis, claim: Claim, known: Mapping[Place, Floats]) -> dict[str, object]:
    steps = {place: known[place] for place in claim.needs}
    samples = len(next(iter(steps.values())))
    drawn = Resamples.draw(samples, analysis.settings.bootstrap, analysis.generator(claim.id))
    decision = claim.decide(steps, drawn)
    return decision.row(
        claim.id, claim.statement, quantity=claim.quantity, published=_published(claim)
    )


def _published(claim: Claim) -> float:
    rows = published_values()
    rows = rows[rows["table"] == claim.table]
    known = {
        (column, row["mode"], row["kind"]): float(row[column])
        for _, row in rows.iterrows()
        for column in ("mean", "std", "ks")
    }
    has_all = all(("mean", *place) in known for place in claim.needs)
    return claim.published(known) if claim.published and has_all else float("nan")
