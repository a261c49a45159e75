"""The paper's claims, each by the number that decides it.

A number is a difference of logarithms of mean KLs, averaged over the scanned lengths (each counts
alike) unless it says otherwise, and is positive where the claim holds. Several numbers in a column
have all to be positive, in a row some one of them (`steppe.comparisons.jackknife.Parts`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from steppe.comparisons import both_sides
from steppe.core.axes import SERIES
from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import (
    DIRECTIONS,
    SUBSTITUTIONS,
    Estimates,
    Floats,
    Means,
    Number,
    Sensitivity,
    log_ratio,
)
from steppe.studies.lee2024.plan import Plan, SaeFacts, Series
from steppe.studies.lee2024.published import published_number
from steppe.study import Claim
from steppe.study.needs import Need

# Two curves are nearly indistinguishable when their KLs differ by less than this factor.
NEARLY = 1.2
# SAE errors were called pathological at ratios from 2 on (Gurnee 2024).
PATHOLOGICAL = 2.0
# By the letter that ends a claim's id: the kinds that the paper has, and active at the token.
KINDS = {
    "a": ("sae_feature_alive", "alive elsewhere"),
    "b": ("sae_feature_active_in_prompt", "active in the prompt"),
    "c": ("sae_feature_active", "active at the token"),
}
# Id, statement, quantity, number, and the series that it is made from.
Row = tuple[str, str, str, Number, Sequence[Series]]
_LN = "ln KL"
# What so few sequences cannot tell, or what the authors show: part of the statements.
_SMALL = " (a difference of less than {} cannot be decided with 64 sequences)"
_BESIDE = {
    "LH4c": " (layers less than 10% apart cannot be decided with 64 sequences)",
    "LH5": _SMALL.format("7% from the mixture"),
    "LH7b-ds": " (the authors' figure of features says the opposite)",
    "LH7c": _SMALL.format("5%"),
    "LH7c-ds": _SMALL.format("5%"),
}


def claims_of(plan: Plan) -> list[Claim]:
    """The claims that a plan's SAEs allow; each needs its series in its dataset."""
    rows = [(DIRECTIONS, row) for row in _on_baselines(plan.site)]
    rows += [(SUBSTITUTIONS, row) for row in _on_errors(plan)]
    rows += [(DIRECTIONS, row) for row in _on_features(plan)]
    return [_claim(*row) for row in rows]


def _claim(dataset: str, row: Row) -> Claim:
    id_, statement, quantity, number, series = row
    needs = Need(dataset, {SERIES: [one.name for one in dict.fromkeys(series)]})
    return Claim(
        id_,
        f"{statement}{_BESIDE.get(id_, '')}.",
        quantity,
        decide=lambda estimates: estimates.decide(number),
        values=lambda run: run.estimates(dataset),
        needs=(needs,),
        published=published_number(id_),
        also=partial(_at_middle, number) if dataset == DIRECTIONS else lambda _run: {},
    )


def _at_middle(number: Number, run: Sensitivity) -> dict[str, float]:
    """The same number from one length alone, beside length 0."""
    name, step = run.middle
    estimates: Estimates = run.estimates()
    there = estimates.decide(lambda get: number(lambda series: get(series)[..., [0, step]]))
    ends = {"": there.number, "_low": there.low, "_high": there.high}
    return {f"number_at_length_{name}{end}": value for end, value in ends.items()}


def _on_baselines(site: str) -> list[Row]:
    kinds = (p.MIXTURE, p.REAL_MIXTURE, p.DIFFERENCE, p.REAL_DIFFERENCE, p.ISOTROPIC)
    mixture, real_mixture, difference, real_difference, isotropic = (
        Series(kind, site) for kind in kinds
    )
    blends = [Series(f"cov_random{p.BLEND}{share:g}", site) for share in p.PROPORTIONS]
    ordered = [difference, *blends, mixture]
    return [
        _above("LH1a", "Cov-random differences are more influential than cov-random mixtures",
               difference, mixture),
        _above("LH1b", "Real differences are more influential than real mixtures",
               real_difference, real_mixture),
        ("LH1c", "From cov-random difference to cov-random mixture: the less of the base "
         "directions hold, the less influential they are",
         f"minus the slope of {_LN} against the mixed-in proportion (0 to 1, cov-random)",
         _declining(np.linspace(0, 1, len(ordered)), ordered), ordered),
        _above("LH2", "Cov-random mixtures are more influential than isotropic directions",
               mixture, isotropic),
        ("LH3a", f"Real and cov-random mixtures differ by less than a factor {NEARLY:g}",
         f"ln {NEARLY:g} minus ln(KL real mixture / KL cov-random mixture), root mean square "
         "over lengths", lambda get: math.log(NEARLY) - _apart(get, real_mixture, mixture),
         (real_mixture, mixture)),
        ("LH3b", "Cov-random mixtures exceed isotropic directions by a larger factor than "
         "real and cov-random mixtures differ by, either way",
         "ln(KL cov-random mixture / KL isotropic) minus "
         "|ln(KL real mixture / KL cov-random mixture)|",
         lambda get: both_sides(log_ratio(get, mixture, isotropic),
                                log_ratio(get, real_mixture, mixture)),
         (real_mixture, mixture, isotropic)),
    ]  # fmt: skip


def _on_errors(plan: Plan) -> list[Row]:
    layers = plan.per_layer
    if not layers:
        return []
    main = next((sae for sae in layers if sae.site == plan.site), layers[0])
    made, isotropic = main.series("sae"), main.series("epsilon_random")
    every = [
        sae.series(kind) for sae in layers for kind in ("sae", "epsilon_mixture", "epsilon_random")
    ]

    def ratios(get: Means) -> Floats:
        logs = [np.log(get(s.series("sae")) / get(s.series("epsilon_mixture"))) for s in layers]
        return np.stack([one[..., 0] for one in logs], axis=-1)

    def of_pairs(get: Means) -> Floats:
        """That some two differ: each less each other, in one row."""
        found = ratios(get)
        pairs = permutations(range(len(layers)), 2)
        return np.stack([found[..., i] - found[..., j] for i, j in pairs], axis=-1)[..., None, :]

    return [
        ("LH4a", "An SAE error is more than twice as influential as an isotropic direction of "
         "its length (Gurnee's puzzle)",
         f"{_LN} SAE minus {_LN} epsilon-random minus ln 2, {main.label} (L0 {main.l0:.0f})",
         lambda get: (np.log(get(made) / get(isotropic)) - math.log(PATHOLOGICAL))[..., 0],
         (made, isotropic)),
        ("LH4b", "In every layer an SAE error is less than twice as influential as a "
         "cov-random mixture of its length",
         f"ln 2 minus the largest {_LN} SAE minus {_LN} epsilon-mixture of {len(layers)} layers",
         lambda get: (math.log(PATHOLOGICAL) - ratios(get))[..., None], every),
        ("LH4c", "How influential an SAE error is, relative to a cov-random mixture of "
         "its length, depends on the layer",
         f"{_LN} SAE minus {_LN} epsilon-mixture, the highest of {len(layers)} layers "
         "minus the lowest (tested between all pairs of layers)", of_pairs, every),
    ][: 3 if len(layers) > 1 else 2]  # fmt: skip


def _on_features(plan: Plan) -> list[Row]:
    here, local = plan.here, plan.local
    rows = [_around_mixture(id_, letters, here) for id_, letters in (("LH5", "ab"), ("LH5c", "c"))]
    rows = rows if len(here) > 1 else []
    if len(local) > 1:
        rows += [
            (f"LH6{letter}", f"The lower L0, the more influential are features {what}",
             f"minus the slope of {_LN} against ln L0, {len(local)} local SAEs",
             _declining(np.log([sae.l0 for sae in local]), [s.series(kind) for s in local]),
             [sae.series(kind) for sae in local])
            for letter, (kind, what) in KINDS.items()
        ]  # fmt: skip
    names = {p.E2E: ("End-to-end", ""), p.DOWNSTREAM: ("Downstream", "-ds")}
    for letter, (kind, what) in KINDS.items():
        for family, (name, ending) in names.items():
            trained = [sae for sae in here if sae.family == family]
            if local and trained:
                rows.append((
                    f"LH7{letter}{ending}",
                    f"{name} features {what} are not more influential than local ones at like L0",
                    f"{_LN} local (interpolated in ln L0) minus {_LN} {family}",
                    matched(local, trained, kind), [s.series(kind) for s in (*local, *trained)],
                ))  # fmt: skip
    return rows


def _around_mixture(id_: str, letters: str, saes: Sequence[SaeFacts]) -> Row:
    kinds = [KINDS[letter] for letter in letters]
    every = [sae.series(kind) for kind, _ in kinds for sae in saes]
    mixture = Series(p.MIXTURE, saes[0].site if saes else "")

    def both(get: Means) -> Floats:
        """That some are above the mixture, and some below."""
        ratios = np.stack([log_ratio(get, one, mixture) for one in every], axis=-1)
        return np.stack([ratios, -ratios], axis=-2)

    return (
        id_,
        f"Of features {' or '.join(what for _, what in kinds)}, some are more influential than "
        "cov-random mixtures and some less, depending on SAE and sparsity",
        "the smaller of: highest ln(KL feature / KL mixture), minus the lowest (tested over all "
        f"{len(every)} kinds of feature)",
        both,
        (*every, mixture),
    )


def _above(id_: str, statement: str, over: Series, under: Series) -> Row:
    quantity = f"ln(KL {over.kind} / KL {under.kind})"
    return id_, statement, quantity, lambda get: log_ratio(get, over, under), (over, under)


def _apart(get: Means, one: Series, other: Series) -> Floats:
    """How far apart two curves are, whichever is higher: root mean square of ln ratio."""
    ratios = np.log(get(one)[..., 1:] / get(other)[..., 1:])
    apart: Floats = np.sqrt((ratios**2).mean(axis=-1))
    return apart


def _declining(x: Floats, series: Sequence[Series]) -> Number:
    """Minus the slope of ln KL, mean over lengths, against something."""
    away = x - x.mean()

    def number(get: Means) -> Floats:
        y = np.stack([np.log(get(one)[..., 1:]).mean(axis=-1) for one in series], axis=-1)
        slope: Floats = (y * away).sum(axis=-1) / (away**2).sum()
        return -slope

    return number


def matched(local: Sequence[SaeFacts], trained: Sequence[SaeFacts], kind: str) -> Number:
    """Ln KL of local features less that of others, at the others' L0.

    Args:
        local: Local SAEs, sparsest first.
        trained: The other SAEs; the number is their mean.
        kind: What features are compared.
    """

    def number(get: Means) -> Floats:
        found = [
            interpolated(get, local, kind, sae.l0) - np.log(get(sae.series(kind))[..., 1:])
            for sae in trained
        ]
        gaps: Floats = np.stack(found).mean(axis=0).mean(axis=-1)
        return gaps

    return number


def interpolated(get: Means, local: Sequence[SaeFacts], kind: str, l0: float) -> Any:
    """Ln KL of local features at an L0, along ln L0 between its neighbours; ``(..., step)``.

    Beyond the sparsest or densest local SAE it is that SAE's.
    """
    x = np.log([sae.l0 for sae in local])
    at = float(np.clip(np.log(l0), x[0], x[-1]))
    right = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1)) if len(x) > 1 else 0
    left = max(right - 1, 0)
    weight = 0.0 if right == left else (at - x[left]) / (x[right] - x[left])
    ends = [np.log(get(local[i].series(kind))[..., 1:]) for i in (left, right)]
    return (1 - weight) * ends[0] + weight * ends[1]
