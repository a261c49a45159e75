"""In which direction is each base moved? One rule a kind; every direction has length 1.

Lee and Heimersheim 2024 (arXiv 2410.12555): a difference leads from the base to another activation
and therefore holds the base with a minus sign; a mixture, the difference of two other activations,
does not. A direction is drawn once and serves every length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from steppe.activations.real import MINIMUM_DISTANCE
from steppe.core.errors import InputError
from steppe.core.fixed_directions import fixed_direction
from steppe.core.registry import Registry
from steppe.paths.direction_request import DirectionRequest, as_directions, lacking
from steppe.paths.sae_directions import sae_error, sae_feature

Source = Literal["cov_random", "real"]
Rank = Literal["first", "second"]
_TRIES = 1000


@dataclass(frozen=True)
class DirectionKind:
    """One way to choose directions.

    Attributes:
        name: How it is asked for.
        description: What it is, in one line.
        make: Makes the directions, in the shape of the request's base.
        needs: What it cannot be made without: ``pool``, ``moments``, ``sae``.
    """

    name: str
    description: str
    make: Callable[[DirectionRequest], Tensor]
    needs: tuple[str, ...] = ()


def isotropic_direction(request: DirectionRequest) -> Tensor:
    """Directions drawn evenly from the sphere (of mean-free vectors in centred coordinates)."""
    draws = request.normal("isotropic_direction")
    if request.centered:
        draws = draws - draws.mean(dim=-1, keepdim=True)
    return as_directions(draws, request)


def towards_zero(request: DirectionRequest) -> Tensor:
    """Directions from each base to zero: what differences hold and mixtures do not."""
    return as_directions(-request.rows, request)


def blended(request: DirectionRequest, source: Source, proportion: float) -> Tensor:
    """Directions between difference and mixture.

    With two activations a and b, independent of the base x and of each other, the direction is that
    of ``a - ((1 - proportion) x + proportion b)``: a difference at 0, a mixture at 1. The same a
    and b serve every proportion.

    Args:
        request: What they are made from.
        source: ``cov_random``: a and b are normal draws with the mean and covariance of real
            activations; ``real``: they are real activations.
        proportion: From 0 to 1.
    """
    first = _activations(request, source, "first")
    if proportion == 0:
        return as_directions(first - request.rows.double(), request)
    taken = proportion * _activations(request, source, "second")
    if proportion < 1:
        taken = taken + (1 - proportion) * request.rows.double()
    return as_directions(first - taken, request)


def fixed(request: DirectionRequest, *, name: str) -> Tensor:
    """One direction for all bases."""
    if request.fixed is None:
        raise lacking(name, "fixed directions", "give them as fixed=directions.of_name")
    return as_directions(request.fixed(name).expand_as(request.rows), request)


def _activations(request: DirectionRequest, source: Source, rank: Rank) -> Tensor:
    """The first or second other activation of every base, float64."""
    if source == "cov_random":
        if request.gaussian is None:
            raise lacking(
                "cov_random", "gaussian", "Gaussian.from_moments(estimate_moments(activations))"
            )
        return request.gaussian.of_noise(request.normal(f"cov_random_{rank}"))
    if request.pool is None:
        raise lacking("real", "pool", "give real activations of other prompts at the site")
    first = _choose_real(request.pool, request, "real_first", [request.rows])
    if rank == "first":
        return first.double()
    return _choose_real(request.pool, request, "real_second", [request.rows, first]).double()


def _choose_real(
    pool: Tensor, request: DirectionRequest, name: str, others: list[Tensor]
) -> Tensor:
    """A real activation for every base, drawn again where it equals one of ``others``."""
    taken = torch.stack([rows.to(pool) for rows in others], dim=1)
    per_sample = taken.reshape(len(request.base), -1, *taken.shape[1:])
    chosen = [
        _draw_apart(pool, generator, rows)
        for generator, sample in zip(request.streams(name), per_sample, strict=True)
        for rows in sample
    ]
    return pool[torch.tensor(chosen, dtype=torch.int64)]


def _draw_apart(pool: Tensor, generator: np.random.Generator, taken: Tensor) -> int:
    for _ in range(_TRIES if len(pool) else 0):
        index = int(generator.integers(len(pool)))
        if float((pool[index] - taken).norm(dim=-1).min()) > MINIMUM_DISTANCE:
            return index
    raise InputError(
        "pool of real activations",
        got=f"{len(pool)} candidates, all equal to the base or to the first one drawn",
        expected="at least three different activations",
        fix="give activations of more prompts",
    )


_BASELINES = (
    DirectionKind("isotropic", "drawn evenly from the sphere", isotropic_direction),
    DirectionKind(
        "cov_random_difference",
        "from the base to a normal draw with the covariance of real activations",
        partial(blended, source="cov_random", proportion=0.0),
        ("moments",),
    ),
    DirectionKind(
        "real_difference",
        "from the base to another real activation",
        partial(blended, source="real", proportion=0.0),
        ("pool",),
    ),
    DirectionKind(
        "cov_random_mixture",
        "between two normal draws with the covariance of real activations",
        partial(blended, source="cov_random", proportion=1.0),
        ("moments",),
    ),
    DirectionKind(
        "real_mixture",
        "between two other real activations",
        partial(blended, source="real", proportion=1.0),
        ("pool",),
    ),
    DirectionKind("towards_zero", "from the base to zero", towards_zero),
    DirectionKind("sae_error", "from the base to the SAE's reconstruction", sae_error, ("sae",)),
)
_FEATURES = {
    "active": "active at the token",
    "active_in_prompt": "active somewhere in the prompt",
    "alive": "that fires elsewhere, not in the prompt",
    "dead": "that never fires",
    "any": "of the SAE",
}


def _fixed_kind(name: str) -> DirectionKind | None:
    """The kind that a fixed direction is; None for other names."""
    asked = fixed_direction(name)
    if asked is None:
        return None
    return DirectionKind(name, asked.kind.description, partial(fixed, name=name), asked.needs)


DIRECTIONS: Registry[DirectionKind] = Registry(
    "kind of direction",
    "directions",
    (
        *_BASELINES,
        *(
            DirectionKind(
                f"sae_feature_{choice}" + ("" if sense == "along" else "_against"),
                f"{sense} the decoder row of a latent {description}",
                partial(sae_feature, choice=choice, sense=sense),  # type: ignore[arg-type]
                ("sae",),
            )
            for choice, description in _FEATURES.items()
            for sense in ("along", "against")
        ),
    ),
    _fixed_kind,
)


def make_directions(kind: str, request: DirectionRequest) -> Tensor:
    """Make the directions of one kind.

    Args:
        kind: Name of the kind.
        request: What they are made from.

    Returns:
        float32 on the CPU, in the shape of the request's base: of length 1, or NaN where there is
        none (no latent to choose, or an error of zero).

    Raises:
        InputError: There is no such kind, or the request lacks what it needs.
    """
    made = DIRECTIONS.find(kind).make(request)
    if made.shape != request.base.shape:
        raise InputError(
            f"directions of kind {kind!r}",
            got=f"shape {tuple(made.shape)}",
            expected=f"that of the bases: {tuple(request.base.shape)}",
            fix="return one direction per base: `as_directions(rows, request)` does so",
        )
    return made.float().cpu()
