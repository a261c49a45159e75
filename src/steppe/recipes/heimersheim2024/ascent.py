"""Part 4, beyond the report: where does climbing the sensitivity end?

A direction's sensitivity is the angle at which KL crosses the level. At that angle, the gradient of
KL says how to turn the direction so that KL grows there, and the crossing comes earlier; every few
steps the crossing is searched anew. What it ends at is compared with the subject's own activations
and with the SAE's decoder rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.core.axes import KIND, MOMENT, SAMPLE, START
from steppe.propagation import GradientSuffix, Prefix
from steppe.recipes.heimersheim2024.bench import Arrays, Bench, Found
from steppe.recipes.heimersheim2024.draws import directions, take_bases
from steppe.recipes.heimersheim2024.layout import template
from steppe.recipes.heimersheim2024.material import Material
from steppe.recipes.heimersheim2024.outputs import STARTS
from steppe.store import Template, Variable

MOMENTS = ("before", "after")
# How far a direction turns in the first and the last step, in degrees.
_FIRST_TURN, _LAST_TURN = 8.0, 1.0
# The crossing is searched anew after this many steps.
_SEARCH_EVERY = 10
# Where a direction is climbed that never crosses the level.
_ANGLE_OF_NONE = 90.0


def lay_out(material: Material) -> Template:
    """What directions are before and after the ascent."""
    settings = material.settings
    dims = (KIND, SAMPLE, START, MOMENT)
    return template(
        material,
        {
            "crossing": Variable(dims, "degrees", "where KL first reaches the level"),
            "censored": Variable(dims, "1", "whether it never does", "bool"),
            "to_real": Variable(dims, "1", "largest cosine to the way to a real activation"),
            "to_decoder": Variable(dims, "1", "largest absolute cosine to a decoder row"),
            "latent": Variable(dims, "latent", "whose row that is", "int64"),
            "latent_is_active": Variable(dims, "1", "whether it is active at the base", "bool"),
            "to_others": Variable(dims, "1", "mean cosine to the base's other directions"),
            "turned": Variable(dims[:-1], "degrees", "angle between before and after"),
        },
        labels={KIND: STARTS, MOMENT: MOMENTS},
        sizes={START: settings.ascent_starts},
        at_most=settings.ascent_bases,
    )


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What directions at one base are compared with, as unit vectors beside it.

    Attributes:
        real: The ways to other real activations, ``(candidate, d_model)``.
        decoder: Decoder rows, ``(latent, d_model)``.
        active: Which latents are active at the base, ``(latent,)``.
    """

    real: Tensor
    decoder: Tensor
    active: Tensor


def measure(material: Material, samples: range) -> Arrays:
    """Measure one shard: climb from every start of some bases."""
    bases = take_bases(material.stock, samples)
    count = material.settings.ascent_starts
    starts = torch.cat([directions(material, bases, kind, count) for kind in STARTS], dim=1)
    made: list[Arrays] = []
    with Bench(material, material.stock) as bench:
        for sample, prefix in enumerate(bases.prefixes):
            base = bases.activations[sample]
            near = landmarks(material, base)
            before = beside(base, starts[sample], centered=material.centered)
            after = climb(bench, prefix, base, before)
            described = [_described(bench, prefix, base, way, near) for way in (before, after)]
            cosine = (before * after).sum(dim=1).clamp(-1, 1)
            made.append(
                {name: np.stack([one[name] for one in described], axis=-1) for name in described[0]}
                | {"turned": torch.rad2deg(torch.arccos(cosine)).float().numpy()}
            )
    arranged = {
        name: np.stack(
            [one[name].reshape(len(STARTS), count, *one[name].shape[1:]) for one in made], axis=1
        )
        for name in made[0]
    }
    return {**arranged, **bases.variables()}


def climb(bench: Bench, prefix: Prefix, base: Tensor, start: Tensor) -> Tensor:
    """Turn directions so that KL crosses the level at smaller angles.

    Args:
        bench: Open; gives the settings.
        prefix: The prompt.
        base: ``(d_model,)``.
        start: Unit directions beside the base, float64 ``(start, d_model)``.

    Returns:
        Unit directions beside the base, float64 ``(start, d_model)``.
    """
    steps = bench.settings.ascent_steps
    suffix = GradientSuffix(bench.stock.subject, prefix)
    reference = bench.logits(prefix, base[None]).log_softmax(-1).clone()
    radius = float(base.double().norm())
    way, angles = start, torch.zeros(len(start)).double()
    for step in range(steps):
        if step % _SEARCH_EVERY == 0:
            found = _crossings(bench, prefix, base, way)
            degrees = np.where(found.censored, _ANGLE_OF_NONE, found.position)
            angles = torch.deg2rad(torch.from_numpy(degrees).nan_to_num(_ANGLE_OF_NONE))
        points = torch.cos(angles)[:, None] * base + radius * torch.sin(angles)[:, None] * way
        _, gradient = suffix.gradient(points.float(), lambda logits: _kl(reference, logits))
        uphill = beside(base, gradient.cpu(), centered=bench.centered, off=way)
        share = step / max(steps - 1, 1)
        turn = math.radians(_FIRST_TURN + (_LAST_TURN - _FIRST_TURN) * share)
        way = math.cos(turn) * way + math.sin(turn) * uphill.nan_to_num()
        way = way / way.norm(dim=1, keepdim=True)
    return way


def beside(base: Tensor, vectors: Tensor, *, centered: bool, off: Tensor | None = None) -> Tensor:
    """Unit vectors orthogonal to a base, and each to its row of ``off``; NaN where nothing is left.

    Args:
        base: ``(d_model,)``.
        vectors: ``(row, d_model)``.
        centered: Whether they are made mean-free.
        off: ``(row, d_model)`` unit vectors orthogonal to the base.
    """
    rows = vectors.double()
    if centered:
        rows = rows - rows.mean(dim=1, keepdim=True)
    unit = base.double() / base.double().norm()
    rows = rows - (rows @ unit)[:, None] * unit
    if off is not None:
        rows = rows - (rows * off).sum(dim=1, keepdim=True) * off
    units: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return units


def _kl(reference: Tensor, logits: Tensor) -> Tensor:
    """KL(base || point) of each point, differentiable."""
    return (reference.exp() * (reference - logits.log_softmax(-1))).sum(dim=-1)


def _crossings(bench: Bench, prefix: Prefix, base: Tensor, way: Tensor) -> Found:
    return bench.crossings(prefix, bench.family("sphere", base.expand(len(way), -1), way))


def landmarks(material: Material, base: Tensor) -> Landmarks:
    """What directions at a base ``(d_model,)`` are compared with."""
    decoder = material.sae.W_dec.detach()
    with torch.no_grad():
        active = material.sae.encode(base[None].to(decoder))[0] > 0
    pool, centered = material.stock.pool, material.centered
    # The base's own prompt is in the pool, too, and equals it only up to rounding.
    other = pool[(pool - base).norm(dim=1) > MINIMUM_DISTANCE]
    return Landmarks(
        real=beside(base, other, centered=centered).float(),
        decoder=beside(base, decoder.cpu(), centered=centered).float().nan_to_num(),
        active=active.cpu(),
    )


def _described(bench: Bench, prefix: Prefix, base: Tensor, way: Tensor, near: Landmarks) -> Arrays:
    """What is stored of directions, ``(start,)`` each."""
    found = _crossings(bench, prefix, base, way)
    to_decoder, latent = (way.float() @ near.decoder.T).abs().max(dim=1)
    kinds = torch.arange(len(way)) // (len(way) // len(STARTS))
    same = (kinds[:, None] == kinds).fill_diagonal_(False)
    cosines = (way @ way.T).where(same, 0).sum(dim=1) / same.sum(dim=1)
    return {
        "crossing": found.position.astype(np.float32),
        "censored": found.censored,
        "to_real": (way.float() @ near.real.T).max(dim=1).values.numpy(),
        "to_decoder": to_decoder.numpy(),
        "latent": latent.numpy(),
        "latent_is_active": near.active[latent].numpy(),
        "to_others": cosines.float().numpy(),
    }
