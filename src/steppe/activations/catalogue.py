"""The kinds of targets there are, what each is made from, and how one of your own is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from steppe.activations import compositions, targets
from steppe.activations.targets import TargetRequest
from steppe.activations.vectors import as_vectors
from steppe.core.errors import InputError
from steppe.core.fixed_directions import fixed_direction
from steppe.core.registry import Registry


@dataclass(frozen=True)
class Kind:
    """One way to make targets.

    Attributes:
        name: How it is asked for.
        description: What it is, in one line.
        make: Makes the targets, ``(sample, d_model)``.
        needs: What it cannot be made without: ``pool`` (real activations), ``moments`` (their mean
            and covariance), ``sae``.
    """

    name: str
    description: str
    make: Callable[[TargetRequest], Tensor]
    needs: tuple[str, ...] = ()


_ALL = (
    Kind(
        "real",
        "another activation of the model",
        targets.real_targets,
        ("pool",),
    ),
    Kind(
        "random",
        "normal draw with the mean and covariance of real activations",
        targets.random_targets,
        ("moments",),
    ),
    Kind(
        "isotropic",
        "draw in a random direction, blind to the data",
        targets.isotropic_targets,
        # As far away as real targets are.
        ("pool",),
    ),
    Kind(
        "synthetic_random",
        "the base's latent activations on random latents",
        targets.synthetic_random_targets,
        ("sae",),
    ),
    Kind(
        "synthetic_baseline",
        "the base's latent activations on latents that fire about as often",
        targets.synthetic_baseline_targets,
        ("sae",),
    ),
    Kind(
        "synthetic_structured",
        "latents with the base's firing rate at the top and its cosines to the top",
        targets.synthetic_structured_targets,
        ("sae",),
    ),
    Kind(
        "synthetic_structured_without_cosine",
        "as synthetic_structured, the top latent chosen by its firing rate alone",
        targets.synthetic_structured_without_cosine_targets,
        ("sae",),
    ),
    Kind(
        "sae_reconstruction",
        "what the SAE makes of the real target",
        targets.sae_reconstruction_targets,
        ("pool", "sae"),
    ),
)


def _derived(name: str) -> Kind | None:
    """The kind of a name with a number or a source behind it; None for other names."""
    composed = compositions.numbered(name)
    if composed is not None:
        make, description = composed
        return Kind(name, description, make, ("pool", "sae"))
    asked = fixed_direction(name)
    if asked is None:
        return None
    return Kind(
        name,
        f"as far as the real target: {asked.kind.description}",
        partial(targets.fixed_targets, name=name),
        tuple(dict.fromkeys(("pool", *asked.needs))),
    )


KINDS: Registry[Kind] = Registry("kind", "kinds", _ALL, _derived)
# Of general use, and in no published table: a study treats them as it does somebody's own.
for _name, (_make, _description) in compositions.PLAIN.items():
    KINDS.add(Kind(_name, _description, _make, ("pool", "sae")))


def find_kind(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        InputError: There is none; the nearest name is suggested.
    """
    return KINDS.find(name)


def make_targets(kind: str, request: TargetRequest) -> Tensor:
    """Make the targets of one kind.

    Args:
        kind: Name of the kind.
        request: What they are made from.

    Returns:
        Targets, float32 on the CPU, ``(sample, d_model)``.

    Raises:
        InputError: There is no such kind, the request lacks what it needs, or a target is NaN.
    """
    made = find_kind(kind).make(request)
    place = f"targets of kind {kind!r}"
    if len(made) != len(request.base):
        raise InputError(
            place,
            got=f"{len(made)} of them",
            expected=f"one per base: {len(request.base)}",
            fix="return one row per row of the request's base",
        )
    return as_vectors(made, place, width=request.base.shape[-1])
