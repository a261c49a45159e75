"""Made-up KLs of lee2024's series: like the demo run's, but with a known truth.

The logarithm of a sequence's KL is the series' own mean, and noise: some that all series of a
sequence share, and some of its own, each alike at neighbouring lengths, as large as in the demo
run. At the paper's 16,000 sequences the means of 80 at a time are drawn, which have the same means
and covariances; the claims are numbers of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import xarray as xr
from benchmarks.calibration.rates import Study, World
from numpy.typing import NDArray

from steppe.studies.lee2024 import plan as p
from steppe.studies.lee2024.analysis import DIRECTIONS, SUBSTITUTIONS, Estimates
from steppe.studies.lee2024.claims import KINDS, NEARLY, PATHOLOGICAL, claims_of
from steppe.studies.lee2024.plan import Plan, SaeFacts, Series, make_plan
from steppe.studies.lee2024.published import published, published_number
from steppe.study import Claim, Need
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
DEMO, PAPER = 64, 16_000
AT_ONCE = 80
# Standard deviation of ln KL over sequences: what series share, and each one's own.
SHARED, OWN = 0.10, 0.12
# Correlation of a series' noise at neighbouring lengths.
NEIGHBOURS = 0.8
SITE = "blocks.{}.hook_resid_pre"


def demo_plan() -> Plan:
    """The bundled model's: one SAE of another layer, four local ones by L0, two others."""
    here = SITE.format(4)
    local = [SaeFacts(f"local-{l0}", here, p.LOCAL, l0, 0) for l0 in (7.9, 16.2, 32.3, 65.2)]
    trained = [SaeFacts(name, here, name, 32.3, 0) for name in (p.E2E, p.DOWNSTREAM)]
    return make_plan(here, [SaeFacts("early", SITE.format(1), p.LOCAL, 28.4, 0), *local, *trained])


def paper_plan() -> Plan:
    """GPT-2's: one SAE before each of twelve layers; before layer 6 also six of Braun et al."""
    here = SITE.format(6)
    layers = [SaeFacts(f"rj-{i}", SITE.format(i), p.LOCAL, 20.0 + 6 * i, 0) for i in range(12)]
    trained = [
        SaeFacts(f"{family}-{l0:g}", here, family, l0, 0)
        for family, sizes in ((p.LOCAL, (31, 69)), (p.E2E, (28, 55)), (p.DOWNSTREAM, (29, 44)))
        for l0 in sizes
    ]
    return make_plan(here, [*layers, *trained])


@dataclass(frozen=True, eq=False)
class Size:
    """A run's claims and the series that they need.

    Attributes:
        plan: What is measured.
        steps: Lengths beside 0.
    """

    plan: Plan
    steps: int

    @cached_property
    def claims(self) -> list[Claim]:
        """The study's."""
        return claims_of(self.plan)

    @cached_property
    def needed(self) -> dict[str, list[str]]:
        """Their names by dataset."""
        needs = [need_of(claim) for claim in self.claims]
        return {
            name: list(dict.fromkeys(
                one for need in needs if need.dataset == name for one in need.labels["series"]
            ))
            for name in (DIRECTIONS, SUBSTITUTIONS)
        }  # fmt: skip


def need_of(claim: Claim) -> Need:
    """The dataset and the series that a claim is decided from."""
    (need,) = claim.needs
    assert isinstance(need, Need)
    return need


@cache
def size_of(n: int) -> Size:
    """The demo's, or the paper's for as many sequences."""
    return Size(paper_plan(), 10) if n >= PAPER else Size(demo_plan(), 7)


@dataclass(frozen=True, eq=False)
class MadeUp:
    """A run: its claims, and estimates by dataset."""

    size: Size
    estimates: Mapping[str, Estimates]


def make(n: int, generator: np.random.Generator, means: Mapping[Series, Floats | float]) -> MadeUp:
    """A run whose series have these mean ln KL, and those that are not named 0."""
    size = size_of(n)
    count, spread = (n // AT_ONCE, AT_ONCE**-0.5) if n >= PAPER else (n, 1.0)
    named = {series.name: mean for series, mean in means.items()}
    found = {}
    for name, series in size.needed.items():
        steps = size.steps if name == DIRECTIONS else 1
        places = np.arange(steps)
        mixing = np.linalg.cholesky(NEIGHBOURS ** np.abs(places[:, None] - places)).T
        shared = SHARED * generator.normal(size=(1, count, steps)) @ mixing
        logs = shared + OWN * generator.normal(size=(len(series), count, steps)) @ mixing
        logs *= spread
        logs += np.stack([np.broadcast_to(named.get(one, 0.0), steps) for one in series])[:, None]
        kl = np.exp(logs)
        if name == DIRECTIONS:
            kl = np.concatenate([np.zeros((*kl.shape[:2], 1)), kl], axis=-1)
        array = xr.DataArray(kl, dims=("series", "sample", "step"), coords={"series": series})
        found[name] = Estimates.of(array)
    return MadeUp(size, found)


def decide(made: MadeUp, ids: Collection[str]) -> dict[str, Decision]:
    """The study's own decisions."""
    return {
        claim.id: claim.decide(made.estimates[need_of(claim).dataset])
        for claim in made.size.claims
        if claim.id in ids
    }


def exchangeable(n: int, generator: np.random.Generator) -> MadeUp:
    """Every series alike: no kind, layer, SAE or proportion differs from another."""
    return make(n, generator, {})


def on_the_bound(n: int, generator: np.random.Generator) -> MadeUp:
    """Claims with a bound exactly on it, and of several numbers where only one is on it.

    Real mixtures differ by the factor at every other length; an error is twice as influential; in
    one layer by mixtures, too; one feature is far above the mixture and all others are on it.
    """
    size = size_of(n)
    site, layers = size.plan.site, size.plan.per_layer
    signs = np.where(np.arange(size.steps) % 2 == 0, 1.0, -1.0)
    twice = {Series("sae", sae.site, sae.label): math.log(PATHOLOGICAL) for sae in layers}
    near = {Series("epsilon_mixture", sae.site, sae.label): 0.5 for sae in layers[1:]}
    above = next(sae for sae in size.plan.saes if sae.site == site)
    features = {Series(kind, site, above.label): 1.0 for kind, _ in KINDS.values()}
    apart = {Series(p.REAL_MIXTURE, site): math.log(NEARLY) * signs}
    return make(n, generator, {**twice, **near, **features, **apart})


def below(n: int, generator: np.random.Generator) -> MadeUp:
    """One feature of each kind is like the mixture, and all others are far below."""
    plan = size_of(n).plan
    here = [sae for sae in plan.saes if sae.site == plan.site]
    kinds = [kind for kind, _ in KINDS.values()]
    lower = {Series(kind, plan.site, sae.label): -1.0 for kind in kinds for sae in here[1:]}
    return make(n, generator, lower)


def leads_equal(n: int, generator: np.random.Generator) -> MadeUp:
    """Mixtures exceed isotropic directions by as much as real and cov-random ones differ."""
    site = size_of(n).plan.site
    return make(n, generator, {Series(p.REAL_MIXTURE, site): 0.3, Series(p.ISOTROPIC, site): -0.3})


# Mean ln KL over the mixture's, by the letter of a kind of feature and the SAE.
Level = Callable[[str, SaeFacts], float]


def features(plan: Plan, level: Level) -> dict[Series, Floats | float]:
    """Series of features before the study's site."""
    return {
        Series(kind, plan.site, sae.label): level(letter, sae)
        for letter, (kind, _) in KINDS.items()
        for sae in plan.saes
        if sae.site == plan.site
    }


def as_published(n: int, generator: np.random.Generator) -> MadeUp:
    """Errors as the authors' notebooks print them, features as their figures show at length 51."""
    plan = size_of(n).plan
    errors = {Series("sae", sae.site, sae.label): published_ratio() for sae in plan.per_layer}
    return make(n, generator, {**errors, **features(plan, published_level)})


@cache
def published_ratio() -> float:
    """Ln KL of SAE errors over isotropic directions of their length."""
    return published_number("LH4a") + math.log(PATHOLOGICAL)


@cache
def published_level(letter: str, sae: SaeFacts) -> float:
    """Ln KL of features alive elsewhere or active in the prompt, interpolated in ln L0."""
    family = {p.E2E: "e2e", p.DOWNSTREAM: "downstream"}.get(sae.family, "local")
    feature = {"a": "alive", "b": "active"}.get(letter)
    table = published("features")
    rows = table[(table["family"] == family) & (table["feature"] == feature)].sort_values("L0")
    if rows.empty:
        return 0.0
    return math.log(np.interp(math.log(sae.l0), np.log(rows["L0"]), rows["kl_at_51"]))


def as_in_the_demo(n: int, generator: np.random.Generator) -> MadeUp:
    """The effects of the demo run."""
    plan = size_of(n).plan
    site, layers = plan.site, plan.per_layer
    blends = {Series(f"cov_random{p.BLEND}{x:g}", site): 0.48 * (1 - x) for x in p.PROPORTIONS}
    baselines = {
        Series(p.DIFFERENCE, site): 0.48,
        Series(p.REAL_DIFFERENCE, site): 0.69,
        Series(p.ISOTROPIC, site): -0.66,
        Series(p.REAL_MIXTURE, site): 0.05,
        **blends,
    }
    errors = {
        Series("epsilon_mixture", sae.site, sae.label): 0.39 + 0.08 * (i == 0)
        for i, sae in enumerate(layers)
    }

    def level(_: str, sae: SaeFacts) -> float:
        return -0.13 * math.log(sae.l0 / 32)

    return make(n, generator, {**baselines, **errors, **features(plan, level)})


def demo_reversed(n: int, generator: np.random.Generator) -> MadeUp:
    """What the demo run denies or leaves undecided, by as much the other way.

    The nearest to the mixture of features that are all on one side of it is on the other side.
    """
    plan = size_of(n).plan
    here = [sae for sae in plan.saes if sae.site == plan.site]
    above = {"a": -0.025, "b": 0.025, "c": 0.0}
    trained = {p.E2E: -0.020, p.DOWNSTREAM: -0.038}

    def level(letter: str, sae: SaeFacts) -> float:
        return above[letter] * (sae is here[0]) + trained.get(sae.family, 0.0) * (letter == "c")

    return make(n, generator, features(plan, level))


ALIKE = ("LH1a", "LH1b", "LH1c", "LH2", "LH3b", "LH4c", "LH5", "LH5c", "LH6a", "LH6b", "LH6c",
         "LH7a", "LH7a-ds", "LH7b", "LH7b-ds", "LH7c", "LH7c-ds")  # fmt: skip
PUBLISHED = ("LH4a", "LH6a", "LH6b", "LH7a", "LH7a-ds", "LH7b", "LH7b-ds")
REVERSED = ("LH5", "LH7c", "LH7c-ds")
CLAIMS = {claim.id: claim.statement for claim in claims_of(demo_plan())}
STUDY = Study(
    "lee2024",
    {"demo": DEMO, "paper": PAPER},
    (
        World("exchangeable", exchangeable, null=ALIKE),
        World("on the bound", on_the_bound, null=("LH3a", "LH4a", "LH4b", "LH5", "LH5c")),
        World("features below", below, null=("LH5", "LH5c")),
        World("leads equal", leads_equal, null=("LH3b",)),
        World("as published", as_published, effect=PUBLISHED),
        World(
            "as in the demo",
            as_in_the_demo,
            effect=tuple(id_ for id_ in CLAIMS if id_ not in (*PUBLISHED, *REVERSED)),
        ),
        World("demo reversed", demo_reversed, effect=REVERSED),
    ),
    CLAIMS,
    decide,
)
