"""Plain data: the series of a run, each one kind of direction at one site with one SAE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steppe.core.sites import Site

BASELINES, ERRORS, FEATURES = "baselines", "errors", "features"
END_TO_END, SUBSTITUTION, CHECKS = "end_to_end", "substitution", "checks"
PARTS = (BASELINES, ERRORS, FEATURES, END_TO_END, SUBSTITUTION, CHECKS)

LOCAL, E2E, DOWNSTREAM = "local", "e2e", "e2e_ds"
FAMILIES = (LOCAL, E2E, DOWNSTREAM)

ISOTROPIC, MIXTURE, REAL_MIXTURE = "isotropic", "cov_random_mixture", "real_mixture"
DIFFERENCE, REAL_DIFFERENCE = "cov_random_difference", "real_difference"
ERROR, TOWARDS_ZERO = "sae_error", "towards_zero"
WITH_FIRST = "_with_first"
BLEND = "_blend_"
PROPORTIONS = (0.25, 0.5, 0.75)

BASELINE_KINDS = (ISOTROPIC, DIFFERENCE, REAL_DIFFERENCE, MIXTURE, REAL_MIXTURE)
# The first position counted in the mean and covariance, as in the authors' code.
FIRST_KINDS = (DIFFERENCE + WITH_FIRST, MIXTURE + WITH_FIRST)
FEATURE_KINDS = tuple(
    f"sae_feature_{choice}{sense}"
    for choice in ("active", "active_in_prompt", "alive", "dead")
    for sense in ("", "_against")
)
PER_SAE = ("sae", "epsilon_random", "epsilon_mixture", "theta_random", "theta_random_sae_norm",
           "sae_norm", "norm_corrected")  # fmt: skip
PER_SITE = ("mean_ablation", "zero_ablation")
# Columns of the dataset of SAEs: unit and meaning.
SAE_COLUMNS = {
    "l0": ("latents", "mean active latents"),
    "explained_variance": ("1", "share of variance explained"),
    "latents": ("latents", "number of latents"),
    "dead": ("latents", "latents that never fire"),
    "effective_dimension_alive": ("1", "effective dimension of alive rows over d_model"),
    "effective_dimension_dead": ("1", "effective dimension of dead rows over d_model"),
    "effective_dimension_by_rate": ("1", "the same, weighed by firing rate"),
    "variance_along_alive": ("1", "variance along alive rows over that along isotropic ones"),
    "variance_along_by_rate": ("1", "the same, weighed by firing rate"),
    "effective_dimension_activations": ("1", "effective dimension of activations"),
}


@dataclass(frozen=True)
class SaeFacts:
    """What a plan has to know of an SAE.

    Attributes:
        label: Its name in tables and figures.
        site: Where it belongs.
        family: What it was trained to match: ``local``, ``e2e`` or ``e2e_ds``.
        l0: Mean number of active latents, as measured.
        dead: How many latents never fire.
    """

    label: str
    site: str
    family: str
    l0: float
    dead: int

    def series(self, kind: str) -> Series:
        """A kind of direction or replacement with this SAE, at its site."""
        return Series(kind, self.site, self.label)


@dataclass(frozen=True)
class Series:
    """One kind of direction, or of replacement, at one site and with one SAE.

    Attributes:
        kind: The kind.
        site: Where activations are moved.
        sae: Label of the SAE; empty for none.
    """

    kind: str
    site: str
    sae: str = ""

    @property
    def name(self) -> str:
        """Tells it from every other."""
        return f"{self.kind} @ {self.sae or self.site}"


@dataclass(frozen=True)
class Plan:
    """What a run measures.

    Attributes:
        site: The site that most of the study is at.
        saes: Every SAE.
        per_layer: For each site that has one, the SAE that stands for it where layers are compared.
        directions: Series that are measured along lengths.
        substitutions: Series that are one point per token.
    """

    site: str
    saes: tuple[SaeFacts, ...]
    per_layer: tuple[SaeFacts, ...]
    directions: tuple[Series, ...]
    substitutions: tuple[Series, ...]

    @property
    def here(self) -> list[SaeFacts]:
        """The SAEs of the study's own site."""
        return [sae for sae in self.saes if sae.site == self.site]

    @property
    def local(self) -> list[SaeFacts]:
        """The local ones among them, sparsest first."""
        return sorted((s for s in self.here if s.family == LOCAL), key=lambda sae: sae.l0)

    def known(self, series: Iterable[Series]) -> list[Series]:
        """Those of some directions that are measured."""
        return [one for one in series if one in self.directions]


def make_plan(
    site: str,
    saes: Sequence[SaeFacts],
    only: Sequence[str] = (),
    further: Sequence[str] = (),
) -> Plan:
    """Work out what is measured.

    Args:
        site: The site that most of the study is at.
        saes: Every SAE there is.
        only: The parts asked for; empty for all. Parts that lack an SAE are left out.
        further: Kinds of direction asked for beside the study's own.
    """
    parts = set(only or PARTS)
    here = [sae for sae in saes if sae.site == site]
    layers = _per_layer(saes)
    series = [Series(kind, site) for kind in (*_kinds_without_sae(parts), *further)]
    if ERRORS in parts:
        series += [sae.series(ERROR) for sae in here]
        for sae in layers:
            if sae.site != site:
                series += [Series(k, sae.site) for k in (ISOTROPIC, MIXTURE, REAL_MIXTURE)]
                series.append(sae.series(ERROR))
    for sae in here:
        wanted = {FEATURES, END_TO_END} if sae.family == LOCAL else {END_TO_END}
        if parts & wanted:
            series += [
                sae.series(kind) for kind in FEATURE_KINDS if sae.dead or "_dead" not in kind
            ]
    replaced = [*here] if SUBSTITUTION in parts else []
    if parts & {ERRORS, SUBSTITUTION}:
        replaced += [sae for sae in layers if sae not in replaced]
    made = [sae.series(kind) for sae in replaced for kind in PER_SAE]
    where = dict.fromkeys(sae.site for sae in replaced)
    made += [Series(kind, place) for place in where for kind in PER_SITE]
    return Plan(site, tuple(saes), layers, tuple(dict.fromkeys(series)), tuple(made))


def _kinds_without_sae(parts: set[str]) -> list[str]:
    kinds = [ISOTROPIC, MIXTURE]
    if parts & {BASELINES, ERRORS, CHECKS}:
        kinds.append(REAL_MIXTURE)
    if parts & {BASELINES, CHECKS}:
        kinds += [DIFFERENCE, REAL_DIFFERENCE]
    if BASELINES in parts:
        kinds += FIRST_KINDS
    if CHECKS in parts:
        sources = ("cov_random", "real")
        blends = [f"{source}{BLEND}{share:g}" for source in sources for share in PROPORTIONS]
        kinds += [TOWARDS_ZERO, *blends]
    return kinds


def _per_layer(saes: Sequence[SaeFacts]) -> tuple[SaeFacts, ...]:
    """One local SAE a site, as like as possible in L0: the nearest to the sites' middle."""
    local = [sae for sae in saes if sae.family == LOCAL and sae.l0 > 0]
    sites: dict[str, list[SaeFacts]] = {}
    for sae in local:
        sites.setdefault(sae.site, []).append(sae)
    # Sites with a single SAE leave no choice, and so decide for the others.
    alone = [found[0] for found in sites.values() if len(found) == 1] or local
    middle = sum(math.log(sae.l0) for sae in alone) / max(len(alone), 1)
    chosen = [min(found, key=lambda s: abs(math.log(s.l0) - middle)) for found in sites.values()]
    return tuple(sorted(chosen, key=lambda sae: depth_of(sae.site)))


def depth_of(name: str) -> int:
    """How many blocks come before a site."""
    site = Site.parse(name)
    return site.layer + (site.point == "resid_post")
