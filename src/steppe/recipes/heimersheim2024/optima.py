"""Part 4: is the way to a real activation a local optimum of sensitivity?

Triangles as in the report: targets are interpolated between three, each gives a direction, and the
angle at which KL crosses the level is its sensitivity. Beyond the report, many random 2-D families
of directions around each corner: its neighbours towards the other two corners (``inward``, as in a
triangle), and all around it in the plane that these two span (``ring``).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from steppe.core.axes import CORNER, FAMILY, KIND, NEIGHBOUR, POINT, SAMPLE
from steppe.paths import barycentric, interpolate
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, variables_of
from steppe.recipes.heimersheim2024.draws import (
    Bases,
    random_activations,
    real_activations,
    take_bases,
)
from steppe.recipes.heimersheim2024.layout import crossing_variables, template
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import CORNERS, NEIGHBOURS, RING
from steppe.store import Template, Variable


def lay_out_triangles(material: Material) -> Template:
    """Crossing angles over triangles of targets."""
    settings = material.settings
    weights = barycentric(settings.subdivisions)
    made = template(
        material,
        crossing_variables((KIND, SAMPLE, POINT)),
        labels={KIND: CORNERS},
        sizes={POINT: len(weights)},
        at_most=settings.triangles,
    )
    made.fixed["weights"] = ((POINT, CORNER), weights.numpy(), {"unit": "1"})
    return made


def measure_triangles(material: Material, samples: range) -> Arrays:
    """Measure one shard of triangles: all corners random, or the first one real."""
    bases = take_bases(material.stock, samples)
    weights = barycentric(material.settings.subdivisions)
    tops = _tops(material, bases, 1)
    others = random_activations(material, bases, "triangle_corners", 2)
    found = []
    with Bench(material, material.stock) as bench:
        for kind in CORNERS:
            for sample, prefix in enumerate(bases.prefixes):
                corners = torch.cat([tops[kind][sample], others[sample]])
                targets = interpolate(corners, weights)
                base = bases.activations[sample].expand_as(targets)
                family = bench.family("sphere", base, targets - base)
                found.append(bench.crossings(prefix, family))
    shape = (len(CORNERS), len(samples), len(weights))
    arranged = {
        name: np.stack(values).reshape(shape) for name, values in variables_of(found).items()
    }
    return {**arranged, **bases.variables()}


def lay_out_families(material: Material) -> Template:
    """Crossing angles at corners and at their neighbours, in random 2-D families."""
    settings = material.settings
    return template(
        material,
        {
            **crossing_variables((KIND, SAMPLE, FAMILY, NEIGHBOUR)),
            "target_angle": Variable((KIND, SAMPLE, FAMILY), "degrees", "from base to corner"),
        },
        labels={KIND: CORNERS, NEIGHBOUR: NEIGHBOURS},
        sizes={FAMILY: settings.families},
    )


def measure_families(material: Material, samples: range) -> Arrays:
    """Measure one shard of the 2-D families; both kinds of corner share the other two corners."""
    bases = take_bases(material.stock, samples)
    families = material.settings.families
    tops = _tops(material, bases, families)
    others = random_activations(material, bases, "family_corners", 2 * families)
    shape = (len(CORNERS), len(samples), families, len(NEIGHBOURS))
    found, angles = [], np.full(shape[:3], np.nan, np.float32)
    with Bench(material, material.stock) as bench:
        for sample, prefix in enumerate(bases.prefixes):
            base = bases.activations[sample]
            ways = [
                _neighbours(material, base, torch.stack([tops[kind][sample, f], *pair]))
                for kind in CORNERS
                for f, pair in enumerate(others[sample].reshape(families, 2, -1))
            ]
            directions = torch.cat(ways)
            family = bench.family("sphere", base.expand_as(directions), directions)
            found.append(bench.crossings(prefix, family))
            for k, kind in enumerate(CORNERS):
                cosines = torch.cosine_similarity(tops[kind][sample], base[None], dim=1)
                angles[k, sample] = torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).numpy()
    return {
        **{
            name: np.stack(
                [np.asarray(one).reshape(shape[0], *shape[2:]) for one in values], axis=1
            )
            for name, values in variables_of(found).items()
        },
        "target_angle": angles,
        **bases.variables(),
    }


def _tops(material: Material, bases: Bases, count: int) -> dict[str, Tensor]:
    """The first corners, by kind, ``(sample, count, d_model)``."""
    return {
        "real": real_activations(material, bases, "corner_real", count),
        "random": random_activations(material, bases, "corner_random", count),
    }


def _neighbours(material: Material, base: Tensor, corners: Tensor) -> Tensor:
    """Displacements to a corner and to its neighbours, ``(neighbour, d_model)``.

    Args:
        material: How far the neighbours are, and the coordinates.
        base: ``(d_model,)``.
        corners: ``(3, d_model)``, the corner first.
    """
    w = material.settings.inward
    inward = torch.tensor([[1, 0, 0], [1 - w, w, 0], [1 - w, 0, w], [1 - w, w / 2, w / 2]])
    targets = interpolate(corners, inward)
    frame = tangent_frame(base, corners - base, centered=material.centered)
    angle = math.radians(material.settings.ring)
    turns = torch.arange(len(RING), dtype=torch.float64) * (2 * math.pi / len(RING))
    beside = torch.cos(turns)[:, None] * frame[1] + torch.sin(turns)[:, None] * frame[2]
    ring = math.cos(angle) * frame[0] + math.sin(angle) * beside
    return torch.cat([(targets - base).double(), ring]).float()


def tangent_frame(base: Tensor, vectors: Tensor, *, centered: bool) -> Tensor:
    """Orthonormal directions on the sphere at a base (Gram-Schmidt, in the order of the vectors).

    Args:
        base: ``(d_model,)``.
        vectors: ``(vector, d_model)``.
        centered: Whether directions are mean-free.

    Returns:
        float64 ``(vector, d_model)``, orthogonal to the base and to each other.
    """
    rows = vectors.double()
    if centered:
        rows = rows - rows.mean(dim=1, keepdim=True)
    taken = [base.double() / base.double().norm()]
    for row in rows:
        # Twice is enough to be orthogonal to rounding.
        for _ in range(2):
            for other in taken:
                row = row - (row @ other) * other
        taken.append(row / row.norm())
    return torch.stack(taken[1:])
