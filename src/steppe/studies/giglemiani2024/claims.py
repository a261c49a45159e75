"""Which of the paper's claims hold on this model: the number that decides each, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

from steppe.comparisons import Resamples
from steppe.core.axes import CONTEXT, KIND, MODE, SAMPLE
from steppe.store import CURVES, PLATEAUS
from steppe.studies.giglemiani2024.numbers import (
    ALIKE,
    Place,
    Steps,
    closeness,
    ks_gap,
    mean_gap,
    share_above_half,
    spread_gap,
)
from steppe.studies.giglemiani2024.outputs import (
    ABSOLUTE,
    FOREIGN,
    NATIVE,
    PLATEAU_OUTPUT,
    RELATIVE,
    STEP_TABLES,
)
from steppe.studies.giglemiani2024.steps import published_values
from steppe.study import Analysis, Claim, Need
from steppe.study.needs import as_need
from steppe.study.verdicts import Decision

# Published values by (column, group, kind).
Published = Mapping[tuple[str, str, str], float]

REAL, RANDOM = "real", "random"
BASELINE, STRUCTURED = "synthetic_baseline", "synthetic_structured"
PLAIN, WITHOUT = "synthetic_random", "synthetic_structured_without_cosine"
RECONSTRUCTED = "sae_reconstruction"


# A table, and a mode or context of it.
At = tuple[str, str]
WORDS = {"mean": "mean step", "std": "standard deviation of the step", "ks": "KS to real"}
# A path's: what a precision of numbers that count steps is a share of.
STEPS = 100.0
GAPS = {"mean": mean_gap, "std": spread_gap}


@dataclass(frozen=True)
class _Number:
    """What decides a claim: its steps, how it is decided, the published number, and its unit."""

    places: tuple[Place, ...]
    decide: Callable[[Steps, Resamples], Decision]
    published: Callable[[Published], float] = lambda _: math.nan
    unit: float = 1.0


def _claim(id_: str, statement: str, table: str, quantity: str, number: _Number) -> Claim:
    """A claim that the steps of one table decide, with resamples for what needs some."""
    known, made_from = _published(table), [one for one in STEP_TABLES if one.name == table]
    has_all = all(("mean", *place) in known for place in number.places)
    groups, kinds = (tuple(dict.fromkeys(names)) for names in zip(*number.places, strict=True))
    dataset, axis = (CURVES, MODE) if made_from else (PLATEAUS, CONTEXT)
    metrics = tuple(one.metric for one in made_from) or ("l2",)

    def values(analysis: Analysis) -> tuple[Steps, Resamples]:
        steps = analysis[table]
        found = {
            (group, kind): steps.sel({axis: group, KIND: kind}).values
            for group, kind in number.places
        }
        return found, analysis.resamples(id_, steps.sizes[SAMPLE])

    return Claim(
        id_,
        statement,
        quantity,
        lambda given: number.decide(*given),
        (Need(dataset, {axis: groups, KIND: kinds}, metrics),),
        number.published(known) if has_all else math.nan,
        values,
        (table, *(one.figure for one in made_from)),
        unit=number.unit,
    )


def table_of(claim: Claim) -> str:
    """The table whose steps decide a claim of `CLAIMS`."""
    return claim.outputs[0]


def places_of(claim: Claim) -> list[Place]:
    """The (mode or context, kind) whose steps decide a claim of `CLAIMS`."""
    groups, kinds = as_need(claim.needs[0]).labels.values()
    return [*product(groups, kinds)]


@cache
def _published(table: str) -> Published:
    rows = published_values()
    return {
        (column, row["mode"], row["kind"]): float(row[column])
        for _, row in rows[rows["table"] == table].iterrows()
        for column in ("mean", "std", "ks")
    }


def _sum(id_: str, table: str, column: str, terms: Mapping[Place, float], text: At) -> Claim:
    """A weighted sum of means, deviations or KS distances to real is positive."""
    statement, between = text
    places = dict.fromkeys(terms)
    if column == "ks":
        places = dict.fromkeys((*((group, REAL) for group, _ in terms), *terms))

    def decide(steps: Steps, drawn: Resamples) -> Decision:
        if column == "ks":
            return ks_gap(steps, terms, REAL, drawn)
        return GAPS[column](*(steps[place] for place in terms))

    def published(known: Published) -> float:
        return sum(weight * known[column, *place] for place, weight in terms.items())

    number = _Number(tuple(places), decide, published, 1.0 if column == "ks" else STEPS)
    return _claim(id_, statement, table, f"{WORDS[column]}, {between}", number)


def _gap(column: str) -> Callable[[str, At, str, str, str], Claim]:
    def make(id_: str, at: At, more: str, less: str, statement: str) -> Claim:
        table, group = at
        terms = {(group, more): 1.0, (group, less): -1.0}
        return _sum(id_, table, column, terms, (statement, f"{more} minus {less} ({group})"))

    return make


# The mean step of one kind is larger than that of another; its steps are spread wider; they are
# farther from the real ones.
_later, _wider, _nearer = map(_gap, WORDS)


def _mostly(id_: str, at: At, kind: str, bounds: tuple[float, float], statement: str) -> Claim:
    """More than half of the steps of a kind lie within bounds."""
    (table, group), (low, high) = at, bounds
    quantity = f"share of steps from {low:g} to {high:g}, minus one half ({kind}, {group})"
    number = _Number(
        ((group, kind),), lambda steps, _: share_above_half(steps[group, kind], low, high)
    )
    return _claim(id_, statement, table, quantity, number)


_TABLE_1, _TABLE_D1 = ("table_1", ABSOLUTE), ("table_d1", ABSOLUTE)
_ABSOLUTE, _RELATIVE = ("table_a1", ABSOLUTE), ("table_a1", RELATIVE)
_AREA, _BEND, _KL = ("table_b1", ABSOLUTE), ("table_b2", ABSOLUTE), ("table_c1", ABSOLUTE)
_PLATEAU, _OWN = (PLATEAU_OUTPUT, FOREIGN), (PLATEAU_OUTPUT, NATIVE)

CLAIMS = (
    _later(
        "G1", _TABLE_1, RANDOM, REAL,
        "On absolute paths, L2 blows up earlier towards real activations than towards random "
        "ones."),
    _later(
        "G2", _RELATIVE, RANDOM, REAL,
        "On relative paths, L2 blows up earlier towards real activations than towards random "
        "ones."),
    _wider(
        "G3", _TABLE_1, RANDOM, REAL,
        "On absolute paths, the steps of blow-ups of L2 are spread less towards real activations "
        "than towards random ones (the paper's words; its table says the opposite, by too little "
        "for 1,000 samples to decide)."),
    _wider(
        "G4", _RELATIVE, RANDOM, REAL,
        "On relative paths, the steps of blow-ups of L2 are spread less towards real activations "
        "than towards random ones."),
    _mostly(
        "G5", _RELATIVE, REAL, (30, 70),
        "On relative paths, most blow-ups of L2 towards real activations lie from step 30 to 70."),
    _nearer(
        "G6", _TABLE_1, RANDOM, BASELINE,
        "On absolute paths, synthetic-baseline resembles real more than random does."),
    _nearer(
        "G7", _TABLE_1, BASELINE, STRUCTURED,
        "On absolute paths, synthetic-structured resembles real more than synthetic-baseline "
        "does."),
    _nearer(
        "G8", _RELATIVE, BASELINE, STRUCTURED,
        "On relative paths, synthetic-structured resembles real more than synthetic-baseline does "
        "(an effect as small as the published one cannot be decided with 500 samples)."),
    _sum(
        "G9", "table_a1", "ks",
        {(ABSOLUTE, BASELINE): 1.0, (ABSOLUTE, STRUCTURED): -1.0,
         (RELATIVE, BASELINE): -1.0, (RELATIVE, STRUCTURED): 1.0},
        ("By how much synthetic-structured resembles real more than synthetic-baseline does is "
         "less on relative paths than on absolute ones.",
         "synthetic_baseline minus synthetic_structured, absolute minus relative")),
    _nearer(
        "G10", _ABSOLUTE, PLAIN, BASELINE,
        "On absolute paths, synthetic-random resembles real less than synthetic-baseline does."),
    _nearer(
        "G11", _RELATIVE, PLAIN, BASELINE,
        "On relative paths, synthetic-random resembles real less than synthetic-baseline does "
        "(the paper's words; its table says the opposite)."),
    _nearer(
        "G12", _RELATIVE, STRUCTURED, WITHOUT,
        "On relative paths, synthetic-structured resembles real more when its top latent is "
        "chosen without the cosine (an effect as small as the published one cannot be decided "
        "with 500 samples)."),
    _nearer(
        "G13", _ABSOLUTE, WITHOUT, STRUCTURED,
        "On absolute paths, synthetic-structured resembles real less when its top latent is "
        "chosen without the cosine."),
    _nearer(
        "G14", _AREA, BASELINE, STRUCTURED,
        "By the area step of L2 (absolute paths), synthetic-structured resembles real more than "
        "synthetic-baseline does."),
    _later(
        "G15", _BEND, STRUCTURED, REAL,
        "On absolute paths, L2 leaves its initial line earlier towards real activations than "
        "towards synthetic-structured ones."),
    _later(
        "G16", _BEND, BASELINE, RANDOM,
        "On absolute paths, L2 leaves its initial line later towards synthetic-baseline than "
        "towards random activations."),
    _nearer(
        "G17", _KL, BASELINE, STRUCTURED,
        "By the blow-up of KL (absolute paths), synthetic-structured resembles real more than "
        "synthetic-baseline does."),
    _mostly(
        "G18", ("table_c1", RELATIVE), REAL, (40, 100),
        "On relative paths, KL towards real activations mostly blows up only when over 40% of the "
        "base has been replaced."),
    _nearer(
        "G19", _TABLE_D1, RANDOM, RECONSTRUCTED,
        "On absolute paths, SAE reconstructions of real targets resemble these more than random "
        "activations do."),
    _claim(
        "G20",
        "On absolute paths, the steps of blow-ups towards SAE reconstructions are distributed as "
        f"towards the real targets, to within a KS distance of {ALIKE:g} (likeness, not identity: "
        "a small shift is not excluded).",
        "table_d1",
        f"{ALIKE:g} minus KS to real (absolute)",
        _Number(
            ((ABSOLUTE, REAL), (ABSOLUTE, RECONSTRUCTED)),
            lambda steps, drawn: closeness(
                steps[ABSOLUTE, RECONSTRUCTED], steps[ABSOLUTE, REAL], drawn
            ),
            lambda known: ALIKE - known["ks", ABSOLUTE, RECONSTRUCTED])),
    _later(
        "G21", ("table_d1", RELATIVE), RECONSTRUCTED, REAL,
        "On relative paths, L2 blows up later towards SAE reconstructions than towards the real "
        "targets."),
    _later(
        "G22", _PLATEAU, REAL, RANDOM,
        "Plateaus around real activations placed in another prompt are longer than around random "
        "ones."),
    _later(
        "G22n", _OWN, REAL, RANDOM,
        "Plateaus around real activations in their own prompt are longer than around random "
        "ones."),
    _later(
        "G23", _PLATEAU, REAL, STRUCTURED,
        "Plateaus around synthetic-structured activations are shorter than around real ones "
        "placed in another prompt."),
    _later(
        "G23n", _OWN, REAL, STRUCTURED,
        "Plateaus around synthetic-structured activations are shorter than around real ones in "
        "their own prompt."),
    # Bases that are made for the prompt they stand in have the same curves in both contexts.
    _later(
        "G24", _PLATEAU, STRUCTURED, BASELINE,
        "Plateaus around synthetic-baseline activations are shorter than around "
        "synthetic-structured ones (either context: the same curves)."),
    _later(
        "G25", _PLATEAU, RANDOM, BASELINE,
        "Plateaus around synthetic-baseline activations are shorter than around random ones "
        "(either context: the same curves)."),
)  # fmt: skip
