"""Worlds for the claims of ferreira2026: exponents of pairs of directions.

What a claim is decided from is one exponent per pair, family and threshold. A simulated run draws
them from normal distributions with the published means and the spreads of the bundled model's runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import numpy as np
import xarray as xr
from benchmarks.calibration.rates import Study, World

from steppe.core.axes import FACTOR, FAMILY, PAIR
from steppe.studies.ferreira2026.analysis import FACTORS
from steppe.studies.ferreira2026.claims import BOUND, CLAIMS
from steppe.studies.ferreira2026.families import CONTRASTIVE, MELBO, SAE_TOP, TURNED, turned
from steppe.study import Analysis
from steppe.study.verdicts import Decision

LAST = turned(TURNED[-1])
# Of contrastive directions turned by 90 degrees no number is known: they are taken for random.
PUBLISHED = {
    CONTRASTIVE: 2.42, MELBO: 2.21, SAE_TOP: 2.28, "pca": 2.03, "random": 2.03,
    "random_difference": 2.05, LAST: 2.03,
}  # fmt: skip
# Standard deviations over pairs: of the bundled model's run (searched, 16 pairs, seed 0).
SPREAD = {
    CONTRASTIVE: 0.40, MELBO: 0.43, SAE_TOP: 0.42, "pca": 0.14, "random": 0.18,
    "random_difference": 0.33, LAST: 0.19,
}  # fmt: skip
# What half or twice the threshold adds to the exponent of a contrastive pair: the larger of both,
# of four pairs of that model on the grid.
OF_THRESHOLD = 0.2

Fits = Mapping[str, xr.DataArray]


def made(
    n: int,
    generator: np.random.Generator,
    *,
    drift: float = 0.0,
    **means: float,
) -> Fits:
    """Exponents of a run, with some families' means other than published.

    Args:
        n: Pairs.
        generator: Draws them.
        drift: How much larger p is at half, and at twice, the threshold.
        means: By family.
    """
    names = list(PUBLISHED)
    p = np.array([{**PUBLISHED, **means}[name] for name in names])[:, None]
    wide = np.array([SPREAD[name] for name in names])[:, None]
    at_it = p + wide * generator.standard_normal((len(names), n))
    beside = [
        at_it + drift + OF_THRESHOLD * generator.standard_normal(at_it.shape) for _ in range(2)
    ]
    values = np.stack([beside[0], at_it, beside[1]], axis=-1)[..., None]
    coords = {FAMILY: names, FACTOR: list(FACTORS), "fit": ["p"]}
    return {"fits": xr.DataArray(values, dims=(FAMILY, PAIR, FACTOR, "fit"), coords=coords)}


def decide(run: Fits, ids: Collection[str]) -> dict[str, Decision]:
    """What these claims say of a run."""
    chosen = [claim for claim in CLAIMS if claim.id in ids]
    return {one.id: one.decide(one.values(cast(Analysis, run))) for one in chosen}


def ellipses(n: int, generator: np.random.Generator) -> Fits:
    """No direction is privileged."""
    return made(n, generator, contrastive=2.0)


def on_the_bound(n: int, generator: np.random.Generator) -> Fits:
    """Each claim that asks for several numbers has one at zero, and the others far above."""
    sae_and_melbo: dict[str, Any] = {SAE_TOP: 2.0, MELBO: 2.0}
    return made(n, generator, drift=BOUND, random=2 + BOUND, **{LAST: 2 + BOUND}, **sae_and_melbo)


def as_published(n: int, generator: np.random.Generator) -> Fits:
    """The published means, and exponents of pairs as they scatter."""
    return made(n, generator)


STUDY = Study(
    "ferreira2026",
    {"demo": 16},
    (
        World("ellipses", ellipses, null=("FE1",), quick=1000),
        World("on the bound", on_the_bound, null=("FE2", "FE3", "FE4", "FE5", "FE7")),
        World("as published", as_published, effect=("FE1", "FE2", "FE3", "FE4", "FE5", "FE7")),
    ),
    {claim.id: claim.statement for claim in CLAIMS},
    decide,
)
