"""Replacements of each base: its reconstruction, or a point as far away from it.

Gurnee 2024 ("SAE reconstruction errors are (empirically) pathological") and Lee and Heimersheim
2024: x is the base, SAE(x) its reconstruction. Each is one point per base, not a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from steppe.core.names import find
from steppe.paths.direction_request import DirectionRequest, lacking
from steppe.paths.directions import make_directions


@dataclass(frozen=True)
class Substitution:
    """One way to replace activations.

    Attributes:
        name: How it is asked for.
        description: What it is, in one line.
        make: Makes the replacements, in the shape of the request's base.
        needs_sae: Whether it depends on an SAE.
    """

    name: str
    description: str
    make: Callable[[DirectionRequest], Tensor]
    needs_sae: bool = True


def reconstruction(request: DirectionRequest) -> Tensor:
    """SAE(x)."""
    return request.reconstruction


def epsilon(request: DirectionRequest, *, kind: str) -> Tensor:
    """As far from x as SAE(x) is, in a direction of ``kind``."""
    distance = (request.reconstruction - request.base).norm(dim=-1, keepdim=True)
    moved: Tensor = request.base + distance * make_directions(kind, request)
    return moved


def theta_random(request: DirectionRequest, *, norm: Literal["base", "sae"]) -> Tensor:
    """At the angle to x that SAE(x) has, on a random side, with the norm of x or of SAE(x)."""
    base, made = request.base.double(), request.reconstruction.double()
    length, made_length = (v.norm(dim=-1, keepdim=True) for v in (base, made))
    along = base / length
    cosine = (along * made).sum(dim=-1, keepdim=True) / made_length
    side = make_directions("isotropic", request).double()
    side = side - (side * along).sum(dim=-1, keepdim=True) * along
    side = side / side.norm(dim=-1, keepdim=True)
    turned = cosine * along + (1 - cosine.square()).clamp_min(0).sqrt() * side
    result: Tensor = (length if norm == "base" else made_length) * turned
    return result.float()


def scaled(request: DirectionRequest, *, which: Literal["base", "sae"]) -> Tensor:
    """The base with the norm of SAE(x), or SAE(x) with the norm of x."""
    base, made = request.base, request.reconstruction
    lengths = [vectors.norm(dim=-1, keepdim=True) for vectors in (base, made)]
    result: Tensor = base * lengths[1] / lengths[0]
    return result if which == "base" else made * lengths[0] / lengths[1]


def mean_ablation(request: DirectionRequest) -> Tensor:
    """The mean activation."""
    if request.gaussian is None:
        raise lacking("mean_ablation", "gaussian", "Gaussian.from_moments(estimate_moments(...))")
    return torch.from_numpy(request.gaussian.mean).float().expand(request.base.shape)


def zero_ablation(request: DirectionRequest) -> Tensor:
    """Zero."""
    return torch.zeros_like(request.base)


SUBSTITUTIONS: dict[str, Substitution] = {
    one.name: one
    for one in (
        Substitution("sae", "the SAE's reconstruction", reconstruction),
        Substitution(
            "epsilon_random",
            "as far away as the reconstruction, isotropic direction",
            partial(epsilon, kind="isotropic"),
        ),
        Substitution(
            "epsilon_mixture",
            "as far away as the reconstruction, cov-random mixture direction",
            partial(epsilon, kind="cov_random_mixture"),
        ),
        Substitution(
            "theta_random",
            "at the reconstruction's angle on a random side, with the base's norm",
            partial(theta_random, norm="base"),
        ),
        Substitution(
            "theta_random_sae_norm",
            "at the reconstruction's angle on a random side, with its norm",
            partial(theta_random, norm="sae"),
        ),
        Substitution(
            "sae_norm", "the base, with the reconstruction's norm", partial(scaled, which="base")
        ),
        Substitution(
            "norm_corrected",
            "the reconstruction, with the base's norm",
            partial(scaled, which="sae"),
        ),
        Substitution("mean_ablation", "the mean activation", mean_ablation, needs_sae=False),
        Substitution("zero_ablation", "zero", zero_ablation, needs_sae=False),
    )
}


def make_substitution(kind: str, request: DirectionRequest) -> Tensor:
    """Make what replaces each base.

    Args:
        kind: Name of the substitution.
        request: What it is made from.

    Returns:
        float32 on the CPU, in the shape of the request's base.

    Raises:
        InputError: There is no such substitution, or the request lacks what it needs.
    """
    return find(kind, SUBSTITUTIONS, "substitution", "see: steppe list").make(request)
