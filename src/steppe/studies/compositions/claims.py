"""What a run decides: gaps of mean plateau steps, and of KS distances. The study's own claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from steppe.comparisons import Resamples, Weighted, ks_sum
from steppe.core.axes import KIND, SAMPLE
from steppe.studies.giglemiani2024.claims import STEPS
from steppe.study import Analysis, Claim, positive
from steppe.study.verdicts import Decision

Floats = NDArray[np.float64]
REAL, RECONSTRUCTED, BAG = "real", "sae_reconstruction", "composed_bag"
PERMUTED, HALF = "composed_permuted", "composed_dial:0.5"
UNPAIRED, GREEDY, GIBBS = "composed_unpaired", "composed_greedy", "composed_gibbs"
NORM, WEIGHTED, FEWER = "composed_norm_matched", "composed_weighted", "composed_thresholded:20"


def longer(id_: str, more: str, less: str, statement: str) -> Claim:
    """The plateaus of one kind are longer than those of another."""

    def decide(steps: dict[str, Floats]) -> Decision:
        return positive(lambda a, b: float(np.mean(a - b)), steps[more], steps[less])

    quantity = f"mean plateau step, {more} minus {less}"
    return _of_plateaus(id_, statement, quantity, decide)


def beyond_half(id_: str, kind: str, ends: tuple[str, str], statement: str) -> Claim:
    """A kind's plateaus are nearer to those of the second end than to those of the first."""

    def decide(steps: dict[str, Floats]) -> Decision:
        return positive(
            lambda a, low, high: float(np.mean(a - (low + high) / 2)),
            *(steps[one] for one in (kind, *ends)),
        )

    quantity = f"mean plateau step, {kind} minus the middle of {ends[0]} and {ends[1]}"
    return _of_plateaus(id_, statement, quantity, decide)


def nearer(id_: str, far: str, near: str, statement: str) -> Claim:
    """Paths towards one kind blow up more as those towards real activations than another's do."""

    def decide(given: tuple[dict[str, Floats], Resamples]) -> Decision:
        steps, drawn = given
        pairs = [(far, 1.0), (near, -1.0)]
        terms = [Weighted(steps[k], steps[REAL], w) for k, w in pairs]
        return Decision.of_ks(lambda level: ks_sum(terms, drawn, level))

    def values(analysis: Analysis) -> tuple[dict[str, Floats], Resamples]:
        steps = analysis["slope_steps"]
        return _by_kind(steps), analysis.resamples(id_, steps.sizes[SAMPLE])

    quantity = f"KS to real of the max-slope step, {far} minus {near}"
    return Claim(id_, statement, quantity, decide, ("slope_steps",), values=values)


def _of_plateaus(
    id_: str, statement: str, quantity: str, decide: Callable[[Any], Decision]
) -> Claim:
    return Claim(id_, statement, quantity, decide, ("plateau_steps",), values=_plateaus, unit=STEPS)


def _plateaus(analysis: Analysis) -> dict[str, Floats]:
    return _by_kind(analysis["plateau_steps"])


def _by_kind(steps: xr.DataArray) -> dict[str, Floats]:
    return {str(kind): steps.sel({KIND: kind}).values for kind in steps[KIND].values}


CLAIMS = (
    longer(
        "CO1", REAL, BAG,
        "Plateaus around real activations are longer than around their activations on other "
        "latents that fire about as often."),
    beyond_half(
        "CO2", RECONSTRUCTED, (BAG, REAL),
        "SAE reconstructions make up more than half of the gap between such bags and the real "
        "activations."),
    longer(
        "CO3", PERMUTED, BAG,
        "The latents alone, with their activations permuted among them, have longer plateaus than "
        "bags: which latents are active matters."),
    longer(
        "CO4", RECONSTRUCTED, PERMUTED,
        "SAE reconstructions have longer plateaus than with activations permuted among their "
        "latents: which latent is how active matters."),
    longer(
        "CO5", NORM, BAG,
        "Bags have longer plateaus at the norm of the real activations."),
    longer(
        "CO6", WEIGHTED, BAG,
        "Bags have longer plateaus with activations drawn from their latents' own."),
    longer(
        "CO7", GIBBS, UNPAIRED,
        "Beside a real top latent, others drawn by Gibbs sampling of co-activation have longer "
        "plateaus than others drawn by how often they fire."),
    longer(
        "CO8", GREEDY, UNPAIRED,
        "Beside a real top latent, others drawn by what is active beside those before have longer "
        "plateaus than others drawn by how often they fire."),
    beyond_half(
        "CO9", HALF, (BAG, RECONSTRUCTED),
        "With the stronger half of the real latents kept, more than half of the gap between bags "
        "and SAE reconstructions is made up."),
    longer(
        "CO10", RECONSTRUCTED, FEWER,
        "Without the latents that add less than 20% of its norm, an activation has a shorter "
        "plateau."),
    nearer(
        "CO11", BAG, RECONSTRUCTED,
        "On absolute paths, SAE reconstructions resemble real activations more than bags do."),
    nearer(
        "CO12", BAG, PERMUTED,
        "On absolute paths, activations permuted among their latents resemble real ones more than "
        "bags do."),
)  # fmt: skip
