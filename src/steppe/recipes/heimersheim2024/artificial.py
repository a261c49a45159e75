"""Part 5: do real activations stay on plateaus when a few SAE latents are added or removed?

A latent that is added fires as strongly as one of the base's own, and was silent; one that is
removed was active. Beside them, bases moved just as far as the added latents move them, in a
random direction, and random bases.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from steppe.core.axes import DRAW, KIND, MODE, SAMPLE
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, search
from steppe.recipes.heimersheim2024.draws import (
    directions,
    random_activations,
    take_bases,
)
from steppe.recipes.heimersheim2024.layout import (
    KIND_MODE,
    crossing_variables,
    template,
)
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import (
    ADDED,
    ARTIFICIAL_BASES,
    COUNTS,
    MODES,
    MOVED,
    RANDOM_BASE,
    REMOVED,
    UNCHANGED,
)
from steppe.store import Template, Variable

_MOST = max(COUNTS)


def lay_out(material: Material) -> Template:
    """Crossings from artificial bases, and how far they lie from the real one."""
    return template(
        material,
        {
            **crossing_variables((*KIND_MODE, DRAW)),
            "moved": Variable((KIND, SAMPLE), "residual stream", "distance from the real base"),
        },
        labels={KIND: ARTIFICIAL_BASES, MODE: MODES},
        sizes={DRAW: material.settings.artificial_draws},
    )


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard."""
    bases = take_bases(material.stock, samples)
    draws = material.settings.artificial_draws
    towards = random_activations(material, bases, "plateau_target", draws)
    real = bases.activations
    aside = directions(material, bases, "cov_random_mixture", 1)[:, 0]
    starts = {
        UNCHANGED: real,
        RANDOM_BASE: random_activations(material, bases, "random_base", 1)[:, 0],
        **latent_changes(material, real, material.generators("changed_latents", samples)),
    }
    for count in COUNTS:
        far = (starts[f"{ADDED}_{count}"] - real).norm(dim=1, keepdim=True)
        starts[f"{MOVED}_{count}"] = real + far * aside
    starts = {kind: starts[kind] for kind in ARTIFICIAL_BASES}
    repeated = {kind: start[:, None].expand_as(towards) for kind, start in starts.items()}
    with Bench(material, material.stock) as bench:
        # A base that could not be made (too few active latents) is no place to start from.
        found = search(
            bench,
            bases.prefixes,
            {kind: start.nan_to_num() for kind, start in repeated.items()},
            {kind: towards - start for kind, start in repeated.items()},
        )
    moved = np.stack([(start - real).norm(dim=1).numpy() for start in starts.values()])
    return {**found, "moved": moved, **bases.variables()}


def latent_changes(
    material: Material, base: Tensor, generators: Sequence[np.random.Generator]
) -> dict[str, Tensor]:
    """Bases with some latents added or removed, ``(sample, d_model)`` each.

    The same draws serve every count: with three added, the first two are those of two added. A row
    is NaN where the base has not as many latents as are to be removed, or none to copy from.
    """
    sae = material.sae
    with torch.no_grad():
        latents = sae.encode(base.to(sae.W_dec)).float().cpu()
    rows = sae.W_dec.detach().float().cpu()
    found = {
        f"{change}_{count}": torch.full_like(base, torch.nan)
        for change in (ADDED, REMOVED)
        for count in COUNTS
    }
    for sample, generator in enumerate(generators):
        active = np.flatnonzero(latents[sample].numpy() > 0)
        silent = np.flatnonzero(material.rates.alive & (latents[sample].numpy() <= 0))
        order, new = generator.permutation(active), generator.permutation(silent)[:_MOST]
        strength = latents[sample][generator.choice(active, _MOST)] if len(active) else None
        for count in COUNTS:
            if strength is not None and len(new) >= count:
                added = strength[:count] @ rows[new[:count]]
                found[f"{ADDED}_{count}"][sample] = base[sample] + added
            if len(order) >= count:
                gone = order[:count]
                removed = latents[sample][gone] @ rows[gone]
                found[f"{REMOVED}_{count}"][sample] = base[sample] - removed
    return found
