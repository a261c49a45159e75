"""Parts 5 and 6: bases with SAE latents added or removed, and latents of random directions.

A latent that is added fires as strongly as one of the base's own, and was silent; one that is
removed was active. Beside them, bases moved just as far as the added latents move them, in a
random direction, and random bases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from steppe.activations import isotropic
from steppe.core.axes import DRAW, KIND, MODE, SAMPLE
from steppe.sae.blocks import in_blocks
from steppe.store import Variable
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.paths import Grid, Study, crossing_variables, crossings, drawn
from steppe.study import FunctionPart, WholePart
from steppe.study.context import Arrays

_MOST = max(n.COUNTS)


def measure_artificial(study: Study, samples: range) -> Arrays:
    """Measure one shard of artificial bases."""
    bases = study.bases(samples)
    real = bases.activations
    towards = drawn(study, bases, "plateau_target", study.settings.artificial_draws)
    aside = study.directions(bases, n.MIXTURE)[:, 0]
    starts = {
        n.UNCHANGED: real,
        n.RANDOM_BASE: drawn(study, bases, "random_base")[:, 0],
        **latent_changes(study, real, study.generators("changed_latents", samples)),
    }
    for count in n.COUNTS:
        far = (starts[f"{n.ADDED}_{count}"] - real).norm(dim=1, keepdim=True)
        starts[f"{n.MOVED}_{count}"] = real + far * aside
    starts = {kind: starts[kind] for kind in n.ARTIFICIAL_BASES}
    paths = {}
    for kind, start in starts.items():
        repeated = start[:, None].expand_as(towards)
        # A base that could not be made (too few active latents) is no place to start from.
        paths[kind] = (repeated.nan_to_num(), towards - repeated)
    moved = np.stack([(start - real).norm(dim=1).numpy() for start in starts.values()])
    return {**crossings(study, bases, paths), "moved": moved, **bases.variables()}


def latent_changes(
    study: Study, base: Tensor, generators: Sequence[np.random.Generator]
) -> dict[str, Tensor]:
    """Bases with some latents added or removed, ``(sample, d_model)`` each.

    The same draws serve every count: with three added, the first two are those of two added. A row
    is NaN where the base has not as many latents as are to be removed, or none to copy from.
    """
    sae = study.sae
    with torch.no_grad():
        latents = sae.encode(base.to(sae.W_dec)).float().cpu()
    rows = sae.W_dec.detach().float().cpu()
    found = {
        f"{change}_{count}": torch.full_like(base, torch.nan)
        for change in (n.ADDED, n.REMOVED)
        for count in n.COUNTS
    }
    for sample, generator in enumerate(generators):
        active = np.flatnonzero(latents[sample].numpy() > 0)
        silent = np.flatnonzero(study.rates.alive & (latents[sample].numpy() <= 0))
        order, new = generator.permutation(active), generator.permutation(silent)[:_MOST]
        strength = latents[sample][generator.choice(active, _MOST)] if len(active) else None
        for count in n.COUNTS:
            if strength is not None and len(new) >= count:
                added = strength[:count] @ rows[new[:count]]
                found[f"{n.ADDED}_{count}"][sample] = base[sample] + added
            if len(order) >= count:
                gone = order[:count]
                removed = latents[sample][gone] @ rows[gone]
                found[f"{n.REMOVED}_{count}"][sample] = base[sample] - removed
    return found


def measure_encoding(study: Study) -> xr.Dataset:
    """Active latents of real activations, of normal draws, and of isotropic vectors as long.

    The report's footnote 1: how many latents does the SAE find in a random direction?

    Returns:
        ``l0 (kind, sample)``, with the size of the dictionary in ``attrs``.
    """
    samples = range(min(study.settings.encoded, len(study.pool)))
    real = study.pool[: len(samples)]
    vectors = {
        "real": real,
        "random": study.gaussian.draw(study.generators("encoded_random", samples)),
        "isotropic": isotropic(
            torch.zeros_like(real),
            real,
            study.generators("encoded_isotropic", samples),
            reading="text",
            centered=study.centered,
        ),
    }
    counts = np.stack([_active(study, vectors[kind]) for kind in n.ENCODED])
    return xr.Dataset(
        {"l0": ((KIND, SAMPLE), counts, {"unit": "latents", "long_name": "active latents"})},
        coords={KIND: (KIND, np.array(n.ENCODED, dtype=object))},
        attrs={
            "model": study.model.name,
            "sae": next(iter(study.saes)),
            "d_sae": len(study.sae.W_dec),
        },
    )


def _active(study: Study, vectors: Tensor) -> np.ndarray:
    device = study.sae.W_dec.device

    def count(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return (study.sae.encode(rows.to(device)) > 0).sum(dim=1).cpu()

    return in_blocks(count, vectors).numpy()


NEEDS = frozenset({"pool", "moments", "sae"})
_MOVED = Variable((KIND, SAMPLE), "residual stream", "distance from the real base")
ARTIFICIAL = FunctionPart(
    n.ARTIFICIAL,
    Grid(
        crossing_variables(KIND, MODE, SAMPLE, DRAW) | {"moved": _MOVED},
        {KIND: n.ARTIFICIAL_BASES, MODE: n.MODES},
        {DRAW: "artificial_draws"},
    ),
    measure_artificial,
    NEEDS,
)
ENCODING = WholePart(n.ENCODING, measure_encoding, NEEDS)
