"""Parts 3 and 4: planes through real activations, and local optima of sensitivity.

Over a plane, all points stand in the first activation's own prompt; KL is measured from the outputs
at each of the three. Triangles are the report's: targets are interpolated between three, each gives
a direction, and the angle at which KL crosses the level is its sensitivity. Beyond the report, many
random 2-D families of directions around each corner: its neighbours towards the other two corners
(``inward``, as in a triangle), and all around it in the plane that these two span (``ring``).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.core.axes import (
    AXIS,
    COLUMN,
    CORNER,
    FAMILY,
    KIND,
    NEIGHBOUR,
    POINT,
    POSITION,
    ROW,
    SAMPLE,
)
from steppe.metrics.probe import ROWS, Probe
from steppe.paths import Family, Plane, barycentric, family_of, interpolate
from steppe.propagation import Prefix
from steppe.statistics import EVALUATIONS
from steppe.store import Template, Variable
from steppe.studies.heimersheim2024 import names as n
from steppe.studies.heimersheim2024.paths import (
    Grid,
    Study,
    crossing_variables,
    drawn,
    drawn_real,
    search,
    searching,
)
from steppe.study import Bases, FunctionPart
from steppe.study.context import Arrays

# Two of these differ: prompts may be alike.
_CANDIDATES = 8


def measure_planes(study: Study, samples: range) -> Arrays:
    """Measure some planes."""
    bases = study.bases(samples)
    others, tokens = drawn_real(study, bases, "plane_corners", _CANDIDATES)
    stored = bases.variables()
    size = study.settings.plane_points
    made: dict[str, list[Tensor]] = {name: [] for name in ("kl", "corners", "first", "second")}
    prompts = []
    with searching(study) as searched:
        for sample, (base, candidates, prefix) in enumerate(
            zip(bases.activations, others, bases.prefixes, strict=True)
        ):
            differs = (candidates - candidates[0]).norm(dim=1) > MINIMUM_DISTANCE
            taken = [0, int(differs.int().argmax())]
            corners = torch.cat([base[None], candidates[taken]])
            prompts.append([stored["tokens"][sample], *tokens[sample, taken]])
            plane = Plane.through(corners)
            first, second = plane.grid(size)
            rows, columns = torch.meshgrid(second, first, indexing="ij")
            at = plane.at(torch.stack([columns.flatten(), rows.flatten()], dim=1))
            kl = _from_each(searched.probe, prefix, corners, at).reshape(-1, size, size)
            for name, values in zip(made, (kl, plane.corners, first, second), strict=True):
                made[name].append(values)
    arrays = {name: torch.stack(parts).float().numpy() for name, parts in made.items()}
    return arrays | {"corner_tokens": np.array(prompts)} | stored


def _from_each(probe: Probe, prefix: Prefix, corners: Tensor, points: Tensor) -> Tensor:
    """KL of points from each of some corners, ``(corner, point)``, on the CPU."""
    references, blocks = probe.outputs(prefix, corners), []
    for block in torch.split(points, ROWS):
        outputs = probe.outputs(prefix, block)
        alike = (torch.full((len(block),), corner) for corner in range(len(corners)))
        blocks.append(torch.stack([probe.values(references, one, outputs).cpu() for one in alike]))
    return torch.cat(blocks, dim=1)


def lay_out_triangles(study: Study) -> Template:
    """Crossing angles over triangles of targets."""
    weights = barycentric(study.settings.subdivisions)
    variables = crossing_variables(KIND, SAMPLE, POINT) | _prompts_of(KIND, SAMPLE)
    sizes = {POINT: len(weights), CORNER: 3}
    made = Grid(variables, {KIND: n.CORNERS}, sizes, at_most="triangles")(study)
    made.fixed["weights"] = ((POINT, CORNER), weights.numpy(), {"unit": "1"})
    return made


def measure_triangles(study: Study, samples: range) -> Arrays:
    """Measure some triangles: all corners random, or the first one real."""
    bases = study.bases(samples)
    weights = barycentric(study.settings.subdivisions)
    others = drawn(study, bases, "triangle_corners", 2)
    tops, tokens = _tops(study, bases, 1)
    prompts = np.full((len(n.CORNERS), len(samples), 3, tokens.shape[-1]), n.NO_TOKEN)
    prompts[n.CORNERS.index("real"), :, 0] = tokens[:, 0]
    paths = []
    for top in tops.values():
        for base, *corners, prefix in zip(
            bases.activations, top, others, bases.prefixes, strict=True
        ):
            ways = interpolate(torch.cat(corners), weights) - base
            paths.append((prefix, _sphere(study, base, ways)))
    shape = (len(n.CORNERS), len(samples), len(weights))
    found = search(study, paths, shape, (0, 1, 2))
    return found | {"corner_tokens": prompts} | bases.variables()


def measure_families(study: Study, samples: range) -> Arrays:
    """Measure some 2-D families; both kinds of corner share the other two corners."""
    bases = study.bases(samples)
    count = study.settings.families
    tops = torch.stack([*_tops(study, bases, count)[0].values()])
    others = drawn(study, bases, "family_corners", 2 * count).reshape(len(samples), count, 2, -1)
    paths = []
    for sample, (base, prefix) in enumerate(zip(bases.activations, bases.prefixes, strict=True)):
        corners = [
            torch.cat([top[sample, place][None], others[sample, place]])
            for top in tops
            for place in range(count)
        ]
        ways = torch.cat([_neighbours(study, base, three) for three in corners])
        paths.append((prefix, _sphere(study, base, ways)))
    cosines = torch.cosine_similarity(tops, bases.activations[:, None], dim=-1)
    angles = torch.rad2deg(torch.arccos(cosines.clamp(-1, 1))).numpy()
    shape = (len(samples), len(n.CORNERS), count, len(n.NEIGHBOURS))
    found = search(study, paths, shape, (1, 0, 2, 3))
    return found | {"target_angle": angles} | bases.variables()


def _sphere(study: Study, base: Tensor, ways: Tensor) -> Family:
    return family_of("sphere", base.expand_as(ways), ways, mean_free=study.centered)


def _tops(study: Study, bases: Bases, count: int) -> tuple[dict[str, Tensor], NDArray[np.int64]]:
    """First corners by kind, ``(sample, count, d_model)``, and the prompts of the real ones."""
    real, tokens = drawn_real(study, bases, "corner_real", count)
    found = {"real": real, "random": drawn(study, bases, "corner_random", count)}
    return {kind: found[kind] for kind in n.CORNERS}, tokens


def _neighbours(study: Study, base: Tensor, corners: Tensor) -> Tensor:
    """Displacements from a base to the first of three corners and to its neighbours."""
    w = study.settings.inward
    inward = torch.tensor([[1, 0, 0], [1 - w, w, 0], [1 - w, 0, w], [1 - w, w / 2, w / 2]])
    targets = interpolate(corners, inward)
    frame = tangent_frame(base, corners - base, centered=study.centered)
    angle = math.radians(study.settings.ring)
    turns = torch.arange(len(n.RING), dtype=torch.float64) * (2 * math.pi / len(n.RING))
    around = torch.cos(turns)[:, None] * frame[1] + torch.sin(turns)[:, None] * frame[2]
    ring = math.cos(angle) * frame[0] + math.sin(angle) * around
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


def _prompts_of(*dims: str) -> dict[str, Variable]:
    """The variable that holds which prompts the corners are activations of."""
    what = f"prompt of a corner; {n.NO_TOKEN}: of none"
    return {"corner_tokens": Variable((*dims, CORNER, POSITION), "token", what, "int64")}


RANDOM = frozenset({"pool", "moments"})
PLANES = FunctionPart(
    n.PLANES,
    Grid(
        {
            "kl": Variable((SAMPLE, CORNER, ROW, COLUMN), "nats", "KL(corner || point)"),
            "corners": Variable((SAMPLE, CORNER, AXIS), "residual stream", "place of a corner"),
            "first": Variable((SAMPLE, COLUMN), "residual stream", "place along the first axis"),
            "second": Variable((SAMPLE, ROW), "residual stream", "place along the second axis"),
            **_prompts_of(SAMPLE),
        },
        {CORNER: ("base", "second", "third")},
        {ROW: "plane_points", COLUMN: "plane_points", AXIS: 2},
        at_most="planes",
    ),
    measure_planes,
    frozenset({"pool"}),
    points=lambda s: min(s.samples, s.planes) * s.plane_points**2,
)
TRIANGLES = FunctionPart(
    n.TRIANGLES,
    lay_out_triangles,
    measure_triangles,
    RANDOM,
    points=lambda s: (
        min(s.samples, s.triangles)
        * len(n.CORNERS)
        * len(barycentric(s.subdivisions))
        * EVALUATIONS
    ),
)
_ANGLE = Variable((KIND, SAMPLE, FAMILY), "degrees", "from base to corner")
OPTIMA = FunctionPart(
    n.OPTIMA,
    Grid(
        crossing_variables(KIND, SAMPLE, FAMILY, NEIGHBOUR) | {"target_angle": _ANGLE},
        {KIND: n.CORNERS, NEIGHBOUR: n.NEIGHBOURS},
        {FAMILY: "families"},
    ),
    measure_families,
    RANDOM,
)
