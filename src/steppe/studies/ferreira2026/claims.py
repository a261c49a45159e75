"""What the study claims of exponents, each decided over pairs of directions."""

from __future__ import annotations

import numpy as np

from steppe.comparisons import parts_of
from steppe.core.axes import FAMILY
from steppe.studies.ferreira2026.analysis import Floats, exponents
from steppe.studies.ferreira2026.families import (
    CONTRASTIVE,
    MELBO,
    SAE_TOP,
    STRUCTURELESS,
    TURNED,
    turned,
)
from steppe.study import Analysis, Claim
from steppe.study.verdicts import Decision

# Exponents that differ by less are taken for the same: half of what contrastive ones were published
# to lie above 2.
BOUND = 0.2
ROUND = 2.0


def all_positive(numbers: Floats) -> Decision:
    """Whether every number of ``(pair, number)`` is positive on average over pairs."""
    kept = numbers[~np.isnan(numbers).any(axis=1)]
    if len(kept) < 2:
        return Decision(*[float("nan")] * 4)
    left = (kept.sum(axis=0) - kept) / (len(kept) - 1)
    return Decision.of_parts(parts_of(kept.mean(axis=0)[:, None], left[:, :, None]))


def alike(values: Floats, others: Floats | float) -> list[Floats]:
    """Numbers that are both positive where values are alike on average."""
    return [BOUND - (values - others), BOUND + (values - others)]


def above(analysis: Analysis) -> Floats:
    """FE1: how far p of contrastive pairs lies above 2."""
    return (exponents(analysis, CONTRASTIVE) - ROUND)[:, None]


def structureless(analysis: Analysis) -> Floats:
    """FE2: how far inside of the bound around 2 random, difference and PCA pairs lie."""
    return np.stack(
        [one for name in STRUCTURELESS for one in alike(exponents(analysis, name), ROUND)], axis=1
    )


def between(analysis: Analysis, family: str) -> Floats:
    """FE3 and FE4: how far p of a family lies above 2, and below that of contrastive pairs."""
    p = exponents(analysis, family)
    return np.stack([p - ROUND, exponents(analysis, CONTRASTIVE) - p], axis=1)


def falls(analysis: Analysis) -> Floats:
    """FE5: p at no turn minus that at the largest, and how near 2 this is."""
    last = exponents(analysis, turned(TURNED[-1]))
    return np.stack([exponents(analysis, CONTRASTIVE) - last, *alike(last, ROUND)], axis=1)


def steady(analysis: Analysis) -> Floats:
    """FE7: how near p of contrastive pairs at half and twice the threshold is to that at it."""
    p = exponents(analysis, CONTRASTIVE)
    return np.stack(
        [one for by in (0.5, 2.0) for one in alike(exponents(analysis, CONTRASTIVE, by), p)], axis=1
    )


def claims_of(analysis: Analysis) -> list[Claim]:
    """The claims on families that were measured: that of SAE latents where there is an SAE."""
    has_sae = SAE_TOP in analysis["fits"][FAMILY].values
    return [claim for claim in CLAIMS if has_sae or claim.id != "FE3"]


_LEAST = "the least of"
CLAIMS = [
    Claim(
        "FE1",
        "Contours of contrastive directions bulge outwards: their exponent is above 2.",
        "mean p of contrastive pairs, minus 2",
        all_positive,
        ("fits",),
        published=0.42,
        values=above,
    ),
    Claim(
        "FE2",
        f"Contours of random, random-difference and PCA directions are ellipses: p is 2 within "
        f"{BOUND:g}. As their pairs scatter on the bundled model, this cannot be decided with 16 "
        "pairs.",
        f"{BOUND:g} minus the largest distance of a family's mean p from 2",
        all_positive,
        ("fits",),
        published=0.15,
        values=structureless,
    ),
    Claim(
        "FE3",
        "Decoder rows of the most active SAE latents lie between: p is above 2 and below that of "
        "contrastive directions. As far apart as published, this cannot be decided with 16 pairs.",
        f"{_LEAST} mean p minus 2, and mean p of contrastive pairs minus it",
        all_positive,
        ("fits",),
        published=0.14,
        values=lambda run: between(run, SAE_TOP),
    ),
    Claim(
        "FE4",
        "MELBO directions lie between: p is above 2 and below that of contrastive directions. As "
        "far apart as published, this cannot be decided with 16 pairs.",
        f"{_LEAST} mean p minus 2, and mean p of contrastive pairs minus it",
        all_positive,
        ("fits",),
        published=0.21,
        values=lambda run: between(run, MELBO),
    ),
    Claim(
        "FE5",
        f"p falls to 2, within {BOUND:g}, as contrastive directions are turned away by "
        f"{TURNED[-1]} degrees.",
        f"{_LEAST} mean p minus that of turned pairs, and {BOUND:g} minus their distance from 2",
        all_positive,
        ("fits",),
        values=falls,
    ),
    Claim(
        "FE7",
        f"p of contrastive directions does not depend, within {BOUND:g}, on the threshold: half "
        "and twice.",
        f"{BOUND:g} minus the largest change of mean p",
        all_positive,
        ("fits", "grids"),
        values=steady,
    ),
]
