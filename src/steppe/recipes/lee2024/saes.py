"""Which SAEs does a run use, what were they trained to match, and how do they fit this subject?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import Moments
from steppe.core.axes import SAE
from steppe.recipes.lee2024.plan import SaeFacts
from steppe.sae import FiringRates, Sae, SaeQuality, firing_rates
from steppe.sae.objective import objective_of


@dataclass(frozen=True, eq=False)
class UsedSae:
    """An SAE of a run.

    Attributes:
        sae: The SAE.
        rates: Its firing rates.
        quality: How it does on this subject's ordinary activations.
        facts: What the plan knows of it.
    """

    sae: Sae
    rates: FiringRates
    quality: SaeQuality
    facts: SaeFacts


def use_sae(label: str, sae: Sae, pool: Tensor, found: SaeQuality) -> UsedSae:
    """Put together what is known of an SAE, on activations of its site ``(sample, d_model)``."""
    rates = firing_rates(sae, pool)
    dead = int((~rates.alive).sum())
    facts = SaeFacts(label, sae.site.name, objective_of(sae), found.mean_l0, dead)
    return UsedSae(sae, rates, found, facts)


def sae_dataset(saes: Sequence[UsedSae], moments: dict[str, Moments]) -> xr.Dataset:
    """What is known of every SAE: fit, and how evenly its decoder rows point everywhere.

    Args:
        saes: The SAEs.
        moments: Moments of the activations of each site.

    Returns:
        Over ``sae``. ``effective_dimension_*``: the participation ratio of the second moment of
        unit decoder rows, over ``d_model``: 1 when they point everywhere alike, 1 / d_model when
        all point the same way or the opposite; of alive and of dead latents, and of all weighed by
        firing rate. ``variance_along_*``: the activations' variance along the rows over that along
        isotropic directions.
    """
    rows = [_shape_of(used, moments[used.facts.site]) for used in saes]
    names = {
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
    return xr.Dataset(
        {
            name: (SAE, np.array([row[name] for row in rows], float), {"unit": u, "long_name": t})
            for name, (u, t) in names.items()
        },
        coords={
            SAE: (SAE, np.array([used.facts.label for used in saes], object)),
            "site": (SAE, np.array([used.facts.site for used in saes], object)),
            "family": (SAE, np.array([used.facts.family for used in saes], object)),
        },
    )


def _shape_of(used: UsedSae, moments: Moments) -> dict[str, float]:
    decoder = used.sae.W_dec.detach().double().cpu()
    rows = torch.nan_to_num(decoder / decoder.norm(dim=1, keepdim=True))
    covariance = torch.from_numpy(moments.covariance)
    along = ((rows @ covariance) * rows).sum(dim=1) / covariance.trace() * len(covariance)
    alive = torch.from_numpy(used.rates.alive).double()
    weights = {"alive": alive, "dead": 1 - alive, "by_rate": torch.from_numpy(used.rates.values)}
    return {
        "l0": used.facts.l0,
        "explained_variance": used.quality.explained_variance,
        "latents": len(rows),
        "dead": used.facts.dead,
        **{f"effective_dimension_{n}": _dimension(rows, w) for n, w in weights.items()},
        **{
            f"variance_along_{name}": float((along * weights[name]).sum() / weights[name].sum())
            for name in ("alive", "by_rate")
        },
        "effective_dimension_activations": _participation(covariance),
    }


def _dimension(rows: Tensor, weights: Tensor) -> float:
    total = float(weights.sum())
    return _participation((rows * weights[:, None]).T @ rows) if total else float("nan")


def _participation(moment: Tensor) -> float:
    """How many directions share a second moment, over how many there are."""
    return float(moment.trace() ** 2 / moment.square().sum() / len(moment))
