"""Part 1: how far from real and from random bases does the output stay as it was?

All bases of a sample stand in the same prompt and are moved towards the same random activations;
what is called the shared displacement is the same vector for all of them.
"""

from __future__ import annotations

import torch

from steppe.core.axes import DRAW, KIND, MODE, STEP
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, measure_curves, search
from steppe.recipes.heimersheim2024.draws import (
    Bases,
    directions,
    random_activations,
    real_activations,
    take_bases,
)
from steppe.recipes.heimersheim2024.layout import (
    KIND_MODE,
    crossing_variables,
    curve_variables,
    template,
)
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import BASES, MODES
from steppe.store import Template

SHARED = "shared_"


def lay_out(material: Material) -> Template:
    """Curves from each kind of base, and crossings along the shared displacements."""
    return template(
        material,
        {
            **curve_variables((*KIND_MODE, STEP)),
            **crossing_variables((*KIND_MODE, DRAW), SHARED),
        },
        labels={KIND: BASES, MODE: MODES},
        sizes={STEP: material.settings.n_points, DRAW: material.settings.artificial_draws},
    )


def starts(material: Material, bases: Bases) -> dict[str, torch.Tensor]:
    """Bases by kind, ``(sample, d_model)``, all to be placed in the sample's own prompt."""
    return {
        "real": bases.activations,
        "real_foreign": real_activations(material, bases, "foreign_base", 1)[:, 0],
        "random": random_activations(material, bases, "random_base", 1)[:, 0],
    }


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard."""
    bases = take_bases(material.stock, samples)
    towards = random_activations(material, bases, "plateau_target", 1)[:, 0]
    shared = directions(material, bases, "cov_random_mixture", material.settings.artificial_draws)
    begun = starts(material, bases)
    repeated = {kind: start[:, None].expand_as(shared) for kind, start in begun.items()}
    with Bench(material, material.stock) as bench:
        curves = measure_curves(
            bench, bases.prefixes, begun, {kind: towards - start for kind, start in begun.items()}
        )
        found = search(bench, bases.prefixes, repeated, dict.fromkeys(begun, shared), prefix=SHARED)
    return {**curves, **found, **bases.variables()}
