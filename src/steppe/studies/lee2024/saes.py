"""What is known of a run's SAEs: fit, sparsity, and how evenly their decoder rows point."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import Moments
from steppe.core.axes import SAE
from steppe.sae import FiringRates, Sae
from steppe.sae.objective import LOCAL, objective_of
from steppe.studies.lee2024.plan import SAE_COLUMNS, Plan, SaeFacts, make_plan
from steppe.studies.lee2024.settings import Settings
from steppe.study import Context


def plan_of(context: Context[Settings]) -> Plan:
    """What is measured with the SAEs that there are."""
    facts = []
    for label, used in context.saes.items():
        family = objective_of(used.sae) if isinstance(used.sae, Sae) else LOCAL
        dead = int((~used.rates.alive).sum())
        facts.append(SaeFacts(label, used.site.name, family, used.quality.mean_l0, dead))
    asked = context.settings
    return make_plan(context.site.name, facts, asked.only, asked.directions)


def sae_dataset(context: Context[Settings]) -> xr.Dataset:
    """The columns of `COLUMNS` over ``sae``, with each one's ``site`` and ``family``.

    ``effective_dimension_*``: the participation ratio of the second moment of unit decoder rows,
    over ``d_model``: 1 when they point everywhere alike, 1 / d_model when all point the same way or
    the opposite; of alive and of dead latents, and of all weighed by firing rate.
    ``variance_along_*``: the activations' variance along the rows over that along isotropic
    directions.
    """
    known = context.once(plan_of).saes
    rows = []
    for facts in known:
        used = context.saes[facts.label]
        row = {"l0": facts.l0, "explained_variance": used.quality.explained_variance}
        moments = context.at(used.site).moments
        rows.append(row | decoder_shape(used.sae.W_dec, used.rates, moments))
    labels = {SAE: "label", "site": "site", "family": "family"}
    return xr.Dataset(
        {
            name: (SAE, np.array([row[name] for row in rows], float), {"unit": u, "long_name": t})
            for name, (u, t) in SAE_COLUMNS.items()
        },
        coords={
            name: (SAE, np.array([getattr(facts, attribute) for facts in known], object))
            for name, attribute in labels.items()
        },
    )


def decoder_shape(decoder: Tensor, rates: FiringRates, moments: Moments) -> dict[str, float]:
    """Columns on a decoder ``(latent, d_model)`` of unit rows, whatever their lengths."""
    rows = decoder.detach().double().cpu()
    rows = torch.nan_to_num(rows / rows.norm(dim=1, keepdim=True))
    covariance = torch.from_numpy(moments.covariance)
    along = ((rows @ covariance) * rows).sum(dim=1) / covariance.trace() * len(covariance)
    alive = torch.from_numpy(rates.alive).double()
    weights = {"alive": alive, "dead": 1 - alive, "by_rate": torch.from_numpy(rates.values)}
    return {
        "latents": len(rows),
        "dead": int((1 - alive).sum()),
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
