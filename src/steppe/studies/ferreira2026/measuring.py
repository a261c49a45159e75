"""Responses in the plane of two directions: on a grid of angles, or searched along rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from steppe.core.axes import AXIS, COLUMN, FAMILY, PAIR, POINT, ROW, SAMPLE, STEP
from steppe.metrics import find_metrics, measure_paths
from steppe.paths import family_of
from steppe.propagation import Prefix, Suffix
from steppe.statistics import find_crossings
from steppe.statistics.superellipse import intercept
from steppe.store import Template, Variable
from steppe.studies.ferreira2026.families import families, names_of
from steppe.studies.ferreira2026.settings import Settings
from steppe.study import Bases, Context, attributes, dataset_spec

Floats = NDArray[np.float64]
RAYS = 16
# Probes before halving, and points of a ray.
_PROBES, _RAY = 4, 33


def angles(settings: Settings) -> Floats:
    """The angles along each direction, in degrees."""
    return np.linspace(0, settings.reach, settings.n_points)


def sides(base: Tensor, pairs: Tensor, *, mean_free: bool) -> Tensor:
    """Where angles along both directions lead: at right angles to the base and to each other.

    Args:
        base: ``(d_model,)``.
        pairs: ``(pair, 2, d_model)``.
        mean_free: Whether the model's coordinates are centred.

    Returns:
        float64 ``(pair, 2, d_model)``, as long as the base; NaN where a pair spans no plane.
    """
    bases = base.expand(len(pairs), -1)
    first = family_of("sphere", bases, pairs[:, 0], mean_free=mean_free).side
    unit = first / first.norm(dim=1, keepdim=True)
    rest = pairs[:, 1] - (pairs[:, 1] * unit).sum(1, keepdim=True) * unit
    return torch.stack([first, family_of("sphere", bases, rest, mean_free=mean_free).side], dim=1)


def points_at(base: Tensor, plane: Tensor, degrees: Floats) -> Tensor:
    """Points at the base's norm, turned by ``(..., 2)`` angles; plane ``(..., 2, d_model)``."""
    turned = torch.deg2rad(torch.from_numpy(np.ascontiguousarray(degrees)))
    radius = turned.norm(dim=-1, keepdim=True)
    beside = (turned[..., None, :] @ plane)[..., 0, :] * torch.sinc(radius / torch.pi)
    return (torch.cos(radius) * base.double() + beside).float()


def responses(
    context: Context[Any], suffix: Suffix, prefix: Prefix, points: Tensor
) -> NDArray[Any]:
    """How far the later residual moves at some points, ``(point,)``."""
    base = prefix.base.float().cpu()
    path = torch.cat([base[None], points])[None]
    found = measure_paths(suffix, prefix, path, find_metrics(["l2"]), context.read)
    return np.asarray(found["l2"][0, 1:])


def lay_out_grids(context: Context[Settings]) -> Template:
    """Responses on a grid of angles along both directions of every pair."""
    size = context.settings.n_points
    return dataset_spec(
        context,
        {
            "l2": Variable(
                (FAMILY, PAIR, ROW, COLUMN, SAMPLE),
                "residual stream",
                "L2 from the anchor's output",
            )
        },
        labels={FAMILY: names_of(context)},
        sizes={PAIR: context.settings.pairs, ROW: size, COLUMN: size},
        coordinates={one: angles(context.settings) for one in (ROW, COLUMN)},
    )


def _known(made: Mapping[str, Tensor], names: Sequence[str]) -> tuple[Tensor, NDArray[np.bool_]]:
    """The pairs of all families that there are, and of all places of pairs which those fill."""
    pairs = torch.cat([made[name] for name in names])
    known = torch.isfinite(pairs).all(dim=(1, 2))
    return pairs[known], known.numpy()


def _by_family(values: Floats, known: NDArray[np.bool_], pairs: int) -> Floats:
    """``(family, pair, ...)`` of what was measured of the pairs that there are; NaN elsewhere."""
    every = np.full((len(known), *values.shape[1:]), np.nan)
    every[known] = values
    return every.reshape(-1, pairs, *values.shape[1:])


def measure_grids(context: Context[Settings], samples: range) -> dict[str, Any]:
    """Every point of the grids of some anchors."""
    made, bases = context.once(families), context.bases(samples)
    planes, known = _known(made, names_of(context))
    steps = angles(context.settings)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    found = np.full((len(known), len(grid), len(samples)), np.nan, np.float32)
    with context.suffix(read=[context.read], logits=False) as suffix:
        for place, prefix in enumerate(bases.prefixes):
            base = bases.activations[place]
            laid = sides(base, planes, mean_free=context.centered)
            for number, plane in zip(np.flatnonzero(known), laid, strict=True):
                points = points_at(base, plane, grid)
                found[number, :, place] = responses(context, suffix, prefix, points)
    shape = (len(names_of(context)), context.settings.pairs, len(steps), len(steps), len(samples))
    return {"l2": found.reshape(shape), **bases.variables()}


@dataclass(frozen=True, eq=False)
class Contours:
    """Where the median over anchors crosses half of what both directions of a pair alone reach.

    Attributes:
        axes: Median response along each direction alone, ``(pair, axis, step)``.
        points: The contour's angles, in degrees, ``(pair, ray, axis)``.
        intercepts: Where it meets the axes, ``(pair, axis)``.
        evaluations: Points that were computed of a pair, of all anchors.
    """

    axes: Floats
    points: Floats
    intercepts: Floats
    evaluations: float


def find_contours(context: Context[Any], anchors: Bases, planes: Tensor, steps: Floats) -> Contours:
    """Search contours along rays.

    Both axes are measured whole: they give the threshold. Rays lie at even angles once both axes
    are scaled by their intercepts.

    Args:
        context: The model, at the anchors' site.
        anchors: What is turned.
        planes: Unit directions, float64 ``(pair, 2, d_model)``.
        steps: Angles along each direction in degrees, 0 among them, ``(step,)``.
    """
    count, reach = len(planes), float(steps[-1])
    laid = [sides(base, planes, mean_free=context.centered) for base in anchors.activations]
    used = 0
    with context.suffix(read=[context.read], logits=False) as suffix:

        def median_at(which: NDArray[np.int64], degrees: Floats) -> Floats:
            """Median response over anchors of points of some pairs, ``(point,)``."""
            nonlocal used
            used += len(which)
            rows = torch.from_numpy(which)
            every = zip(anchors.prefixes, anchors.activations, laid, strict=True)
            found = [
                responses(context, suffix, prefix, points_at(base, plane[rows], degrees))
                for prefix, base, plane in every
            ]
            return np.asarray(np.median(found, axis=0), np.float64)

        alone = np.zeros((2, len(steps) - 1, 2))
        alone[0, :, 0] = alone[1, :, 1] = steps[1:]
        which = np.repeat(np.arange(count), 2 * (len(steps) - 1))
        axes = np.zeros((count, 2, len(steps)))
        axes[:, :, 1:] = median_at(which, np.tile(alone.reshape(-1, 2), (count, 1))).reshape(
            count, 2, -1
        )
        threshold = axes.max(axis=2).min(axis=1) / 2
        levels = zip(axes, threshold, strict=True)
        ends = np.array([[intercept(axis, at, steps) for axis in both] for both, at in levels])
        tilt = (np.arange(RAYS) + 0.5) / RAYS * np.pi / 2
        ways = ends[:, None] * np.stack([np.cos(tilt), np.sin(tilt)], axis=-1)
        # Each ray to where it leaves the square of the grid.
        ways *= (reach / ways.max(axis=2))[..., None]

        def evaluate(curve: NDArray[np.int64], step: NDArray[np.int64]) -> Floats:
            pair = curve // RAYS
            degrees = ways.reshape(-1, 2)[curve] * (step / (_RAY - 1))[:, None]
            return np.asarray(median_at(pair, degrees) / threshold[pair])

        crossed = find_crossings(evaluate, count * RAYS, _RAY, 1.0, probes=_PROBES)
    degrees = ways * (crossed.step.reshape(count, RAYS, 1) / (_RAY - 1))
    return Contours(axes, degrees, ends, used / count * len(anchors.rows))


def search_contours(context: Context[Settings]) -> xr.Dataset:
    """The contours of every pair that there is of every family, searched along rays."""
    settings, names, made = context.settings, names_of(context), context.once(families)
    planes, known = _known(made, names)
    steps = angles(settings)
    found = find_contours(context, context.bases(range(settings.samples)), planes, steps)
    axes, points, ends = (
        _by_family(one, known, settings.pairs)
        for one in (found.axes, found.points, found.intercepts)
    )
    return xr.Dataset(
        {
            "axes": ((FAMILY, PAIR, AXIS, STEP), axes),
            "contour": ((FAMILY, PAIR, POINT, AXIS), points),
            "intercepts": ((FAMILY, PAIR, AXIS), ends),
        },
        coords={FAMILY: list(names), STEP: steps},
        attrs={**attributes(context), "points_of_a_pair": found.evaluations},
    )
