"""Which of the paper's claims hold on this subject: the number that decides each, and a verdict.

A number is a difference of logarithms of mean KLs, averaged over the scanned lengths (each counts
alike) unless it says otherwise, and is positive where the claim holds. Several numbers in a column
have all to be positive, in a row some one of them (`steppe.comparisons.jackknife.Parts`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd

from steppe.comparisons import both_sides
from steppe.recipes.deciding import claims_frame
from steppe.recipes.lee2024 import plan as p
from steppe.recipes.lee2024.analysis import Analysis, Floats, Means, log_ratio
from steppe.recipes.lee2024.outputs import DIRECTIONS, SUBSTITUTIONS
from steppe.recipes.lee2024.plan import Plan, SaeFacts, Series
from steppe.recipes.lee2024.published import published_number

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
_LN = "ln KL"
# What so few sequences cannot tell, or what the authors show: part of the statements.
_SMALL = " (a difference of less than {} cannot be decided with 64 sequences)"
_BESIDE = {
    "LH5": _SMALL.format("7% from the mixture"),
    "LH7b-ds": " (the authors' figure of features says the opposite)",
    "LH7c": _SMALL.format("5%"),
    "LH7c-ds": _SMALL.format("5%"),
}


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, and a number that is positive where it holds.

    Attributes:
        id: Its number.
        statement: The claim, in our words; it says no more than the number decides.
        quantity: What the number is.
        number: Its computation from mean KLs: one number, or ``(row, column)``.
        needs: The series it is computed from.
        dataset: Where these are.
    """

    id: str
    statement: str
    quantity: str
    number: Callable[[Means], Floats]
    needs: tuple[Series, ...]
    dataset: str = DIRECTIONS


def claims_table(analysis: Analysis) -> pd.DataFrame:
    """Decide every claim that the run has the series for.

    Returns:
        The table of `claims_frame`; quantity; number_at_length_51 and its interval, the same at the
        length nearest to 51 of GPT-2 alone; published.
    """
    name, step = analysis.middle
    column = f"number_at_length_{name}"
    rows = []
    for claim in claims_of(analysis.plan):
        decision = analysis.number(claim.number, dataset=claim.dataset)
        row = decision.row(claim.id, claim.statement, quantity=claim.quantity)
        if claim.dataset == DIRECTIONS:
            there = analysis.number(_at(claim.number, step))
            row |= {column: there.number, f"{column}_low": there.low}
            row[f"{column}_high"] = there.high
        rows.append({**row, "published": published_number(claim.id)})
    further = ("quantity", column, f"{column}_low", f"{column}_high", "published")
    return claims_frame(rows, *further)


def _at(number: Callable[[Means], Floats], step: int) -> Callable[[Means], Floats]:
    """The same number from one length alone, beside length 0."""
    return lambda get: number(lambda series: get(series)[..., [0, step]])


def claims_of(plan: Plan) -> list[Claim]:
    """The claims that what was measured allows."""
    known = {DIRECTIONS: set(plan.directions), SUBSTITUTIONS: set(plan.substitutions)}
    claims = [*_on_baselines(plan), *_on_errors(plan), *_on_features(plan)]
    return [claim for claim in claims if claim.needs and set(claim.needs) <= known[claim.dataset]]


def _on_baselines(plan: Plan) -> list[Claim]:
    site = plan.site
    mixture, real_mixture = Series(p.MIXTURE, site), Series(p.REAL_MIXTURE, site)
    difference, real_difference = Series(p.DIFFERENCE, site), Series(p.REAL_DIFFERENCE, site)
    isotropic = Series(p.ISOTROPIC, site)
    blends = [Series(f"cov_random{p.BLEND}{share:g}", site) for share in p.PROPORTIONS]
    return [
        _above("LH1a", "Cov-random differences are more influential than cov-random mixtures.",
               difference, mixture),
        _above("LH1b", "Real differences are more influential than real mixtures.",
               real_difference, real_mixture),
        Claim("LH1c", "From cov-random difference to cov-random mixture: the less of the base "
              "directions hold, the less influential they are.",
              f"minus the slope of {_LN} against the mixed-in proportion (0 to 1, cov-random)",
              lambda get: _falling(get, [difference, *blends, mixture]),
              (difference, *blends, mixture)),
        _above("LH2", "Cov-random mixtures are more influential than isotropic directions.",
               mixture, isotropic),
        Claim("LH3a", f"Real and cov-random mixtures differ by less than a factor {NEARLY:g}.",
              f"ln {NEARLY:g} minus ln(KL real mixture / KL cov-random mixture), root mean square "
              "over lengths", lambda get: math.log(NEARLY) - _apart(get, real_mixture, mixture),
              (real_mixture, mixture)),
        Claim("LH3b", "Cov-random mixtures exceed isotropic directions by a larger factor than "
              "real and cov-random mixtures differ by, either way.",
              "ln(KL cov-random mixture / KL isotropic) minus "
              "|ln(KL real mixture / KL cov-random mixture)|",
              lambda get: _leads_by_more(get, (mixture, isotropic), (real_mixture, mixture)),
              (real_mixture, mixture, isotropic)),
    ]  # fmt: skip


def _on_errors(plan: Plan) -> list[Claim]:
    layers = plan.per_layer
    if not layers:
        return []
    main = next((sae for sae in layers if sae.site == plan.site), layers[0])
    pairs = [
        [Series(kind, sae.site, sae.label) for kind in ("sae", "epsilon_mixture", "epsilon_random")]
        for sae in layers
    ]
    made, _, isotropic = pairs[layers.index(main)]
    everything = tuple(series for pair in pairs for series in pair)

    def ratios(get: Means) -> Floats:
        return np.stack([np.log(get(a) / get(b))[..., 0] for a, b, _ in pairs], axis=-1)

    claims = [
        Claim("LH4a", "An SAE error is more than twice as influential as an isotropic direction of "
              "its length (Gurnee's puzzle).",
              f"{_LN} SAE minus {_LN} epsilon-random minus ln 2, {_of(main)}",
              lambda get: (np.log(get(made) / get(isotropic)) - math.log(PATHOLOGICAL))[..., 0],
              (made, isotropic), SUBSTITUTIONS),
        Claim("LH4b", "In every layer an SAE error is less than twice as influential as a "
              "cov-random mixture of its length.",
              f"ln 2 minus the largest {_LN} SAE minus {_LN} epsilon-mixture of "
              f"{len(layers)} layers",
              lambda get: (math.log(PATHOLOGICAL) - ratios(get))[..., None],
              everything, SUBSTITUTIONS),
    ]  # fmt: skip
    if len(layers) > 1:
        claims.append(
            Claim("LH4c", "How influential an SAE error is, relative to a cov-random mixture of "
                  "its length, depends on the layer (layers less than 10% apart cannot be decided "
                  "with 64 sequences).",
                  f"{_LN} SAE minus {_LN} epsilon-mixture, the highest of {len(layers)} layers "
                  "minus the lowest (tested between all pairs of layers)",
                  lambda get: _differences(ratios(get)), everything, SUBSTITUTIONS)
        )  # fmt: skip
    return claims


def _on_features(plan: Plan) -> list[Claim]:
    site = plan.site
    here = [sae for sae in plan.saes if sae.site == site]
    local = sorted((sae for sae in here if sae.family == p.LOCAL), key=lambda sae: sae.l0)
    around = {"LH5": "ab", "LH5c": "c"}
    return [
        *(_around_mixture(*one, here) for one in around.items() if len(here) > 1),
        *(_on_sparsity(letter, local) for letter in KINDS if len(local) > 1),
        *_on_training(here, local),
    ]


def _around_mixture(id_: str, letters: str, saes: Sequence[SaeFacts]) -> Claim:
    mixture = Series(p.MIXTURE, saes[0].site)
    kinds = [KINDS[letter] for letter in letters]
    every = [Series(kind, sae.site, sae.label) for kind, _ in kinds for sae in saes]
    return Claim(
        id_,
        f"Of features {' or '.join(what for _, what in kinds)}, some are more influential than "
        f"cov-random mixtures and some less, depending on SAE and sparsity{_BESIDE.get(id_, '')}.",
        "the smaller of: highest ln(KL feature / KL mixture), minus the lowest (tested over all "
        f"{len(every)} kinds of feature)",
        lambda get: _both_sides(get, every, mixture),
        (*every, mixture),
    )


def _on_sparsity(letter: str, local: Sequence[SaeFacts]) -> Claim:
    kind, what = KINDS[letter]
    features = [Series(kind, sae.site, sae.label) for sae in local]
    return Claim(
        f"LH6{letter}",
        f"The lower L0, the more influential are features {what}.",
        f"minus the slope of {_LN} against ln L0, {len(local)} local SAEs",
        _declining(local, features),
        tuple(features),
    )


def _on_training(here: Sequence[SaeFacts], local: Sequence[SaeFacts]) -> list[Claim]:
    names = {p.E2E: ("End-to-end", ""), p.DOWNSTREAM: ("Downstream", "-ds")}
    claims = []
    for letter, (kind, what) in KINDS.items():
        features = [Series(kind, sae.site, sae.label) for sae in local]
        for family, (name, ending) in names.items() if local else ():
            those = [sae for sae in here if sae.family == family]
            trained = [Series(kind, sae.site, sae.label) for sae in those]
            id_ = f"LH7{letter}{ending}"
            claim = Claim(
                id_,
                f"{name} features {what} are not more influential than local ones at like L0"
                f"{_BESIDE.get(id_, '')}.",
                f"{_LN} local (interpolated in ln L0) minus {_LN} {family}",
                matched(local, features, those, kind),
                (*features, *trained),
            )
            claims += [claim] if those else []
    return claims


def _above(id_: str, statement: str, over: Series, under: Series) -> Claim:
    quantity = f"ln(KL {over.kind} / KL {under.kind})"
    return Claim(id_, statement, quantity, lambda get: log_ratio(get, over, under), (over, under))


def _apart(get: Means, one: Series, other: Series) -> Floats:
    """How far apart two curves are, whichever is higher: root mean square of ln ratio."""
    ratios = np.log(get(one)[..., 1:] / get(other)[..., 1:])
    apart: Floats = np.sqrt((ratios**2).mean(axis=-1))
    return apart


def _leads_by_more(get: Means, pair: tuple[Series, Series], other: tuple[Series, Series]) -> Floats:
    """That the first of a pair is above the second by more than another pair differs either way."""
    lead, gap = log_ratio(get, *pair), log_ratio(get, *other)
    return both_sides(lead, gap)


def _differences(numbers: Floats) -> Floats:
    """That some two of ``(..., number)`` differ: each less each other, in one row."""
    pairs = permutations(range(numbers.shape[-1]), 2)
    return np.stack([numbers[..., i] - numbers[..., j] for i, j in pairs], axis=-1)[..., None, :]


def _falling(get: Means, ordered: Sequence[Series]) -> Floats:
    """Minus the slope of ln KL against the proportion, from 0 to 1 in even steps."""
    proportions = np.linspace(0, 1, len(ordered))
    return -_slope(proportions, [np.log(get(one)[..., 1:]).mean(axis=-1) for one in ordered])


def _declining(local: Sequence[SaeFacts], features: Sequence[Series]) -> Callable[[Means], Floats]:
    x = np.log([sae.l0 for sae in local])

    def number(get: Means) -> Floats:
        return -_slope(x, [np.log(get(one)[..., 1:]).mean(axis=-1) for one in features])

    return number


def _slope(x: Floats, y: Sequence[Floats]) -> Floats:
    away = x - x.mean()
    stacked = np.stack(y, axis=-1)
    slope: Floats = (stacked * away).sum(axis=-1) / (away**2).sum()
    return slope


def _both_sides(get: Means, features: Sequence[Series], mixture: Series) -> Floats:
    """That some features are above the mixture, and some below."""
    ratios = np.stack([log_ratio(get, one, mixture) for one in features], axis=-1)
    return np.stack([ratios, -ratios], axis=-2)


def matched(
    local: Sequence[SaeFacts],
    features: Sequence[Series],
    trained: Sequence[SaeFacts],
    kind: str,
) -> Callable[[Means], Floats]:
    """Ln KL of local features less that of others, at the others' L0.

    Args:
        local: Local SAEs, sparsest first.
        features: Their features.
        trained: The other SAEs; the number is their mean.
        kind: What features are compared.
    """

    def number(get: Means) -> Floats:
        found = [
            interpolated(get, local, features, sae.l0)
            - np.log(get(Series(kind, sae.site, sae.label))[..., 1:])
            for sae in trained
        ]
        gaps: Floats = np.stack(found).mean(axis=0).mean(axis=-1)
        return gaps

    return number


def interpolated(
    get: Means, local: Sequence[SaeFacts], features: Sequence[Series], l0: float
) -> Floats:
    """Ln KL of local features at an L0, along ln L0 between its neighbours; ``(..., step)``.

    Beyond the sparsest or densest local SAE it is that SAE's.
    """
    x = np.log([sae.l0 for sae in local])
    at = float(np.clip(np.log(l0), x[0], x[-1]))
    right = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1)) if len(x) > 1 else 0
    left = max(right - 1, 0)
    weight = 0.0 if right == left else (at - x[left]) / (x[right] - x[left])
    ends = [np.log(get(features[i])[..., 1:]) for i in (left, right)]
    blend: Floats = (1 - weight) * ends[0] + weight * ends[1]
    return blend


def _of(sae: SaeFacts) -> str:
    return f"{sae.label} (L0 {sae.l0:.0f})"
