"""Part 3: how does the output change over the plane through three real activations?

All points stand in the first activation's own prompt; KL is measured from the outputs at each of
the three.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.core.axes import AXIS, COLUMN, CORNER, ROW, SAMPLE
from steppe.paths import Plane
from steppe.recipes.heimersheim2024.bench import Arrays, Bench
from steppe.recipes.heimersheim2024.draws import real_activations, take_bases
from steppe.recipes.heimersheim2024.layout import template
from steppe.recipes.heimersheim2024.material import Material
from steppe.store import Template, Variable

# Two of these differ: prompts may be alike.
_CANDIDATES = 8
CORNER_NAMES = ("base", "second", "third")


def lay_out(material: Material) -> Template:
    """KL over planes, from each of their three activations."""
    settings = material.settings
    return template(
        material,
        {
            "kl": Variable((SAMPLE, CORNER, ROW, COLUMN), "nats", "KL(corner || point)"),
            "corners": Variable((SAMPLE, CORNER, AXIS), "residual stream", "place of a corner"),
            "first": Variable((SAMPLE, COLUMN), "residual stream", "place along the first axis"),
            "second": Variable((SAMPLE, ROW), "residual stream", "place along the second axis"),
        },
        labels={CORNER: CORNER_NAMES},
        sizes={ROW: settings.plane_points, COLUMN: settings.plane_points, AXIS: 2},
        at_most=settings.planes,
    )


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard."""
    bases = take_bases(material.stock, samples)
    others = real_activations(material, bases, "plane_corners", _CANDIDATES)
    size = material.settings.plane_points
    made: dict[str, list[Tensor]] = {name: [] for name in ("kl", "corners", "first", "second")}
    with Bench(material, material.stock) as bench:
        for sample, prefix in enumerate(bases.prefixes):
            corners = torch.cat([bases.activations[sample][None], _two(others[sample])])
            plane = Plane.through(corners)
            first, second = plane.grid(size)
            rows, columns = torch.meshgrid(second, first, indexing="ij")
            at = plane.at(torch.stack([columns.flatten(), rows.flatten()], dim=1))
            made["kl"].append(bench.kl_from(prefix, corners, at).reshape(3, size, size))
            made["corners"].append(plane.corners)
            made["first"].append(first)
            made["second"].append(second)
    arrays = {name: torch.stack(parts).float().numpy() for name, parts in made.items()}
    return {**arrays, **bases.variables()}


def _two(candidates: Tensor) -> Tensor:
    """The first candidate, and the first that differs from it."""
    differs = (candidates - candidates[0]).norm(dim=1) > MINIMUM_DISTANCE
    return candidates[[0, int(differs.float().argmax())]]
